// SPDX-License-Identifier: Apache-2.0
/* A user that builds and changes address spaces, and does no DMA. */
#include "helpers.h"

#include <fcntl.h>

#include <linux/iommufd.h>

namespace wd::soak
{

namespace
{

constexpr uint64_t kSpread = 64; /* pages of IOVA per arena: few, so that mappings collide */

class Spaces
{
public:
	explicit Spaces(User &user) : user_(user)
	{
		host_.host = user.host;
		space_ = {&host_, wd_host_dev_open(user.host, "/dev/iommu", O_RDWR), 0, 0};
	}
	bool open() const { return space_.fd >= 0; }
	void step();

private:
	uint32_t any(const std::vector<uint32_t> &ids)
	{
		return ids.empty() ? static_cast<uint32_t>(user_.below(64))
				   : ids[user_.below(ids.size())];
	}
	void bind();
	void map();
	void copy();
	void hwpt();
	void give(std::vector<uint32_t> &ids);

	User &user_;
	device host_ = {};
	space space_ = {};
	std::vector<uint32_t> ioases_, hwpts_, devices_;
};

void Spaces::bind()
{
	auto found = anyDevice(user_);
	queue queue;

	if (!found || devices_.size() >= 8 || queue_open(&*found, &queue))
		return;
	if (!queue_bind(&queue, space_.fd))
		devices_.push_back(queue.device_id);
	if (user_.chance(20))
		queue_close(&queue);
}

void Spaces::map()
{
	const uint64_t pages = 1 + user_.below(32), at = user_.below(kArena / kPage - pages);

	if (!table_map(&space_, any(ioases_), user_.arena + at * kPage, pages * kPage,
		       user_.below(kSpread) * kPage))
		user_.work++;
}

void Spaces::copy()
{
	struct iommu_ioas_copy cmd = {};

	cmd.size = sizeof(cmd);
	cmd.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE;
	cmd.dst_ioas_id = any(ioases_);
	cmd.src_ioas_id = any(ioases_);
	cmd.length = (1 + user_.below(8)) * kPage;
	cmd.dst_iova = user_.below(kSpread) * kPage;
	cmd.src_iova = user_.below(kSpread) * kPage;
	table_command(&space_, IOMMU_IOAS_COPY, &cmd);
}

void Spaces::hwpt()
{
	static constexpr uint32_t kFlags[] = {0, IOMMU_HWPT_ALLOC_PASID,
					      IOMMU_HWPT_ALLOC_NEST_PARENT};

	uint32_t id;

	if (hwpts_.size() < 64 &&
	    !table_new(&space_, any(devices_), any(ioases_), kFlags[user_.below(3)], 0, &id))
		hwpts_.push_back(id);
}

void Spaces::give(std::vector<uint32_t> &ids)
{
	if (ids.empty())
		return;
	auto at = ids.begin() + static_cast<ptrdiff_t>(user_.below(ids.size()));
	if (!table_destroy(&space_, *at))
		ids.erase(at);
}

void Spaces::step()
{
	uint32_t id;

	switch (user_.below(8)) {
	case 0:
		if (ioases_.size() < 8 && !table_ioas(&space_, &id))
			ioases_.push_back(id);
		break;
	case 1:
		bind();
		break;
	case 2:
		hwpt();
		break;
	case 3:
		copy();
		break;
	case 4:
		give(hwpts_);
		break;
	case 5:
		if (user_.chance(20))
			give(ioases_);
		table_unmap(&space_, any(ioases_), user_.below(kSpread) * kPage,
			    (1 + user_.below(kSpread)) * kPage);
		break;
	default:
		map();
	}
}

} // namespace

void liveWithAddressSpaces(User &user)
{
	Spaces spaces(user);
	const unsigned steps = 1 + static_cast<unsigned>(user.below(400));

	for (unsigned i = 0; spaces.open() && i < steps && !user.stop; i++)
		spaces.step();
}

} // namespace wd::soak
