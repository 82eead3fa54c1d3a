// SPDX-License-Identifier: Apache-2.0
/* A driver that does not give up what it has pinned: calls of the program end all the same. */
#include <cerrno>

#include "fixture.h"

namespace kernel_iommufd
{

class KeeperTest : public IoasTest
{
protected:
	static constexpr uint64_t kIova = 0x10000, kBefore = 0x8000;

	KeeperTest()
	{
		mock_bind bind = {iommufd_->fd(), 0, 0};

		attach();
		EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory_.address(), kPage, kBefore));
		EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory_.address() + kPage, kPage, kIova));
		EXPECT_EQ(0, call(MOCK_BIND, &bind));
		keep_.iova = kIova;
		keep_.ioas = ioas_;
		EXPECT_EQ(0, call(MOCK_KEEP, &keep_));
	}
	~KeeperTest() override { EXPECT_EQ(0, Caller::self()->close(driver_)); }
	long call(unsigned long request, void *argument = nullptr) const
	{
		return Caller::self()->ioctl(driver_, request,
					     reinterpret_cast<uintptr_t>(argument));
	}

	Buffer memory_{2 * kPage};
	int driver_ = Caller::self()->open("/dev/mock1", O_RDWR);
	mock_keep keep_ = {};
};

/* IOMMUFD-ACCESS-2 */
TEST_F(KeeperTest, AnUnmapGivesUp)
{
	uint64_t done = 0;

	EXPECT_EQ(-EDEADLOCK, iommufd_->unmap(ioas_, kIova, kPage));
	EXPECT_TRUE(entryAt(0, kIova).present) << "the mapping is as it was";
	EXPECT_EQ(2u, Caller::self()->pinnedPages());
	EXPECT_EQ(-EEXIST, iommufd_->mapFixed(ioas_, memory_.address(), kPage, kIova));
	/* Mappings before it are removed, as after any error. */
	EXPECT_EQ(-EDEADLOCK, iommufd_->unmap(ioas_, 0, kMax));
	EXPECT_FALSE(entryAt(0, kBefore).present);
	EXPECT_TRUE(entryAt(0, kIova).present);
	EXPECT_EQ(2 * 100, call(MOCK_GIVE_UP));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax, &done));
	EXPECT_EQ(kPage, done);
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
}

/* IOMMUFD-OBJ-2: its object is the driver's, as a device is. */
TEST_F(KeeperTest, UserSpaceCannotDestroyAnAccess)
{
	EXPECT_EQ(-EBUSY, iommufd_->destroy(keep_.out_id));
	EXPECT_EQ(-EBUSY, iommufd_->destroy(ioas_));
	EXPECT_EQ(0, call(MOCK_GIVE_UP));
	EXPECT_EQ(-ENOENT, iommufd_->destroy(keep_.out_id));
}

} // namespace kernel_iommufd
