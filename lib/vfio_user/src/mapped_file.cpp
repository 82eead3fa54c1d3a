// SPDX-License-Identifier: Apache-2.0
#include "mapped_file.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/error.h"

namespace wd::vfio_user
{

/* VFIOUSER-DMA-4 */
MappedFile::Identity MappedFile::identify(int fd)
{
	struct stat status;

	if (fstat(fd, &status))
		throwLastError("guest memory file: stat");
	if (!S_ISREG(status.st_mode))
		throwErrno(EINVAL, "guest memory file: not a regular file");
	const int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		throwErrno(EPERM, "guest memory file: it could be truncated; use a "
				  "memory-backend-memfd, which is sealed");
	/* The first size may be from before the seal. From the seal on the file cannot shrink. */
	if (fstat(fd, &status))
		throwLastError("guest memory file: stat");
	return {status.st_dev, status.st_ino, static_cast<uint64_t>(status.st_size)};
}

MappedFile::MappedFile(int fd, const Identity &identity, bool writable)
	: identity_(identity),
	  writable_(writable)
{
	const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	void *base = mmap(nullptr, identity.size, protection, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED)
		throwLastError("guest memory file: map");
	base_ = static_cast<std::byte *>(base);
	/* A guest's memory must not get into a core dump or a child. */
	madvise(base, identity.size, MADV_DONTDUMP);
	madvise(base, identity.size, MADV_DONTFORK);
}

MappedFile::~MappedFile()
{
	munmap(base_, identity_.size);
}

} // namespace wd::vfio_user
