// SPDX-License-Identifier: GPL-2.0-only
/* Scatterlists that own their pages, and copies from and to scatterlists. */
#include <algorithm>
#include <cstring>

#include <linux/scatterlist.h>

scatterlist *sgl_alloc(unsigned long long length, gfp_t gfp, unsigned int *nent_p)
{
	const auto nents = static_cast<unsigned>((length + PAGE_SIZE - 1) / PAGE_SIZE);

	if (!nents || length > UINT32_MAX)
		return nullptr;
	auto *list = static_cast<scatterlist *>(kmalloc_array(nents, sizeof(scatterlist), gfp));

	if (!list)
		return nullptr;
	sg_init_table(list, nents);
	for (unsigned i = 0; i < nents; i++) {
		const auto piece = static_cast<unsigned>(std::min<u64>(PAGE_SIZE, length));
		page *memory = alloc_page(gfp);

		if (!memory) {
			sgl_free(list);
			return nullptr;
		}
		sg_set_page(&list[i], memory, piece, 0);
		length -= piece;
	}
	if (nent_p)
		*nent_p = nents;
	return list;
}

void sgl_free(scatterlist *sgl)
{
	for (scatterlist *sg = sgl; sg; sg = sg_next(sg))
		if (sg_page(sg))
			__free_page(sg_page(sg));
	kfree(sgl);
}

static size_t copy(scatterlist *sgl, unsigned nents, char *buffer, size_t length, bool toBuffer)
{
	size_t done = 0;
	scatterlist *sg = sgl;

	for (unsigned i = 0; i < nents && sg && done < length; i++, sg = sg_next(sg)) {
		const size_t piece = std::min<size_t>(sg->length, length - done);

		if (toBuffer)
			memcpy(buffer + done, sg_virt(sg), piece);
		else
			memcpy(sg_virt(sg), buffer + done, piece);
		done += piece;
	}
	return done;
}

size_t sg_copy_to_buffer(scatterlist *sgl, unsigned int nents, void *buf, size_t buflen)
{
	return copy(sgl, nents, static_cast<char *>(buf), buflen, true);
}

size_t sg_copy_from_buffer(scatterlist *sgl, unsigned int nents, const void *buf, size_t buflen)
{
	return copy(sgl, nents, static_cast<char *>(const_cast<void *>(buf)), buflen, false);
}
