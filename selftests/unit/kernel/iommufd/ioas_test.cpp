// SPDX-License-Identifier: Apache-2.0
/* Objects and settings: IOAS_ALLOC, DESTROY, OPTION, VFIO_IOAS. */
#include <cerrno>

#include "fixture.h"

namespace kernel_iommufd
{

/* IOMMUFD-OBJ-1 */
TEST_F(IoasTest, IdsAreTheLowestFree)
{
	EXPECT_EQ(3, iommufd_->allocIoas());
	EXPECT_EQ(4, iommufd_->allocIoas());
	EXPECT_EQ(0, iommufd_->destroy(3));
	EXPECT_EQ(3, iommufd_->allocIoas());
}

/* IOMMUFD-OBJ-1 */
TEST_F(IoasTest, ContextsDoNotSeeEachOther)
{
	Iommufd other;
	EXPECT_EQ(-ENOENT, other.destroy(ioas_));
	EXPECT_EQ(1, other.allocIoas());
	EXPECT_EQ(0, other.destroy(1));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax));
}

/* IOMMUFD-OBJ-2 */
TEST_F(IoasTest, DestroyOfWhatIsNotThere)
{
	for (const uint32_t id : {0u, 3u, 0x7fffffffu, 0x80000000u, 0xffffffffu})
		EXPECT_EQ(-ENOENT, iommufd_->destroy(id));
}

/* IOMMUFD-OBJ-2 */
TEST_F(IoasTest, UserSpaceCannotDestroyADevice)
{
	EXPECT_EQ(-EBUSY, iommufd_->destroy(device_->id()));
	EXPECT_EQ(0, device_->unbind());
	EXPECT_EQ(-ENOENT, iommufd_->destroy(device_->id()));
}

/* IOMMUFD-OBJ-4 */
TEST_F(IoasTest, AllocFlagsAndUnwritableAnswer)
{
	iommu_ioas_alloc cmd = {sizeof(cmd), 1, 0};
	EXPECT_EQ(-EOPNOTSUPP, iommufd_->ioctl(IOMMU_IOAS_ALLOC, &cmd));

	Buffer page(kPage);
	auto *readOnly = reinterpret_cast<iommu_ioas_alloc *>(page.data());
	*readOnly = {sizeof(*readOnly), 0, 0};
	ASSERT_EQ(0, mprotect(page.data(), kPage, PROT_READ));
	EXPECT_EQ(-EFAULT, iommufd_->ioctl(IOMMU_IOAS_ALLOC, readOnly));
	/* The kernel has destroyed the object again, so its id is free. */
	EXPECT_EQ(3, iommufd_->allocIoas());
}

/* IOMMUFD-OBJ-2 */
TEST_F(IoasTest, MappingsDoNotHoldAnIoasButAPageTableDoes)
{
	Buffer memory(kPage);
	const auto other = static_cast<uint32_t>(iommufd_->allocIoas());
	EXPECT_EQ(0, iommufd_->mapFixed(other, memory.address(), kPage, 0));
	EXPECT_EQ(0, iommufd_->destroy(other));
	const uint32_t hwpt = attach();
	EXPECT_EQ(-EBUSY, iommufd_->destroy(ioas_));
	EXPECT_EQ(-EBUSY, iommufd_->destroy(hwpt));
	EXPECT_EQ(0, device_->detach());
	EXPECT_EQ(-ENOENT, iommufd_->destroy(hwpt));
	EXPECT_EQ(0, iommufd_->destroy(ioas_));
}

/* IOMMUFD-OBJ-3 */
TEST_F(IoasTest, CloseDestroysWhateverIsLeft)
{
	Buffer memory(16 * kPage);
	for (unsigned i = 0; i < 10; i++)
		EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address() + i * kPage, kPage,
						(2 * i + 1) * kPage));
	uint32_t hwpt = 0;
	EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioas_, 0, hwpt));
	attach();
	iommufd_->close();
	/* The bound device keeps the context alive, so page tables work until its release. */
	EXPECT_TRUE(entryAt(0, kPage).present);
	device_.reset();
	EXPECT_EQ(0u, mock_counters.domains);
}

/* IOMMUFD-OPT-1 */
TEST_F(IoasTest, RlimitMode)
{
	uint64_t value = 7;
	EXPECT_EQ(0, iommufd_->option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 0, value));
	EXPECT_EQ(0u, value);
	EXPECT_EQ(-EOPNOTSUPP,
		  iommufd_->option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 1, value));
	value = 1;
	EXPECT_EQ(-EBUSY,
		  iommufd_->option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, value));

	Iommufd empty;
	EXPECT_EQ(0, empty.option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, value));
	value = 2;
	EXPECT_EQ(-EINVAL, empty.option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, value));
	EXPECT_EQ(0, empty.option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 0, value));
	EXPECT_EQ(1u, value);

	auto poor = Caller::create(1000);
	poor->setCapability(Capability::SysResource, false);
	Iommufd theirs(poor);
	value = 0;
	EXPECT_EQ(-EPERM, theirs.option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, value));
	EXPECT_EQ(0, theirs.option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 0, value));
}

TEST_F(IoasTest, OptionsThatAreNotThere)
{
	uint64_t value = 0;
	EXPECT_EQ(-EOPNOTSUPP, iommufd_->option(2, IOMMU_OPTION_OP_GET, 0, value));
	EXPECT_EQ(-EOPNOTSUPP, iommufd_->option(IOMMU_OPTION_HUGE_PAGES, 2, ioas_, value));
	EXPECT_EQ(-ENOENT,
		  iommufd_->option(IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, 0, value));
	EXPECT_EQ(-ENOENT, iommufd_->option(IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET,
					    device_->id(), value));
	iommu_option cmd = {};
	cmd.size = sizeof(cmd);
	cmd.__reserved = 1;
	EXPECT_EQ(-EOPNOTSUPP, iommufd_->ioctl(IOMMU_OPTION, &cmd));
}

/* As in Linux the option is set, whether the answer arrives or not. */
TEST_F(IoasTest, OptionAnswerThatCannotBeWritten)
{
	iommu_option cmd = {};
	uint64_t value = 7;

	cmd.size = sizeof(cmd);
	cmd.option_id = IOMMU_OPTION_HUGE_PAGES;
	cmd.object_id = ioas_;
	EXPECT_EQ(-EFAULT, iommufd_->withoutAnswer(IOMMU_OPTION, cmd));
	EXPECT_EQ(0, iommufd_->option(IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, ioas_, value));
	EXPECT_EQ(0u, value);
	cmd.op = IOMMU_OPTION_OP_GET;
	EXPECT_EQ(-EFAULT, iommufd_->withoutAnswer(IOMMU_OPTION, cmd));
}

/* IOMMUFD-OPT-2 */
TEST_F(IoasTest, HugePagesOption)
{
	const uint16_t set = IOMMU_OPTION_OP_SET, get = IOMMU_OPTION_OP_GET;
	Buffer memory(4 * kPage);
	uint64_t value = 7;
	EXPECT_EQ(0, iommufd_->option(IOMMU_OPTION_HUGE_PAGES, get, ioas_, value));
	EXPECT_EQ(1u, value);
	value = 2;
	EXPECT_EQ(-EINVAL, iommufd_->option(IOMMU_OPTION_HUGE_PAGES, set, ioas_, value));

	/* Areas that are not page aligned prevent it. */
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address() + 1, 1, 1));
	value = 0;
	EXPECT_EQ(-EADDRINUSE, iommufd_->option(IOMMU_OPTION_HUGE_PAGES, set, ioas_, value));
	EXPECT_EQ(0, iommufd_->option(IOMMU_OPTION_HUGE_PAGES, get, ioas_, value));
	EXPECT_EQ(1u, value);
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax));

	value = 0;
	EXPECT_EQ(0, iommufd_->option(IOMMU_OPTION_HUGE_PAGES, set, ioas_, value));
	EXPECT_EQ(-EINVAL, iommufd_->mapFixed(ioas_, memory.address() + 1, kPage, 0));
	value = 1;
	EXPECT_EQ(0, iommufd_->option(IOMMU_OPTION_HUGE_PAGES, set, ioas_, value));
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address() + 1, kPage, 3));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax));

	/* With both a page table and mappings it cannot be changed. */
	attach();
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0));
	value = 0;
	EXPECT_EQ(-EINVAL, iommufd_->option(IOMMU_OPTION_HUGE_PAGES, set, ioas_, value));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax));
	EXPECT_EQ(0, iommufd_->option(IOMMU_OPTION_HUGE_PAGES, set, ioas_, value));
}

/* IOMMUFD-OPT-3 */
TEST_F(IoasTest, VfioIoasIsAWeakReference)
{
	auto vfio = [&](uint16_t op, uint32_t &id) {
		iommu_vfio_ioas cmd = {sizeof(cmd), id, op, 0};
		const long rc = iommufd_->ioctl(IOMMU_VFIO_IOAS, &cmd);
		id = cmd.ioas_id;
		return rc;
	};
	uint32_t id = 0;
	EXPECT_EQ(-ENODEV, vfio(IOMMU_VFIO_IOAS_GET, id));
	EXPECT_EQ(-ENOENT, vfio(IOMMU_VFIO_IOAS_SET, id));
	EXPECT_EQ(-EOPNOTSUPP, vfio(3, id));
	id = device_->id();
	EXPECT_EQ(-ENOENT, vfio(IOMMU_VFIO_IOAS_SET, id));
	id = ioas_;
	EXPECT_EQ(0, vfio(IOMMU_VFIO_IOAS_SET, id));
	id = 0;
	EXPECT_EQ(0, vfio(IOMMU_VFIO_IOAS_GET, id));
	EXPECT_EQ(ioas_, id);
	EXPECT_EQ(0, vfio(IOMMU_VFIO_IOAS_CLEAR, id));
	EXPECT_EQ(-ENODEV, vfio(IOMMU_VFIO_IOAS_GET, id));
	id = ioas_;
	EXPECT_EQ(0, vfio(IOMMU_VFIO_IOAS_SET, id));
	iommu_vfio_ioas cmd = {sizeof(cmd), 0, IOMMU_VFIO_IOAS_GET, 1};
	EXPECT_EQ(-EOPNOTSUPP, iommufd_->ioctl(IOMMU_VFIO_IOAS, &cmd)) << "reserved";
	cmd.__reserved = 0;
	EXPECT_EQ(-EFAULT, iommufd_->withoutAnswer(IOMMU_VFIO_IOAS, cmd));
	EXPECT_EQ(0, iommufd_->destroy(ioas_));
	EXPECT_EQ(-ENODEV, vfio(IOMMU_VFIO_IOAS_GET, id));
}

} // namespace kernel_iommufd
