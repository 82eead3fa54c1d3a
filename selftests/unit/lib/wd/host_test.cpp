// SPDX-License-Identifier: Apache-2.0
/* The native host against the running kernel's files, and the choice of a host. */
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_host.h"
#include "wd/error.h"
#include "wd/native_host.h"

using namespace wd;

namespace
{

/** A folder that is removed at the end. */
class NativeHostTest : public ::testing::Test
{
protected:
	NativeHostTest()
	{
		char name[] = "/tmp/wd_native_XXXXXX";
		directory_ = ::mkdtemp(name);
	}
	~NativeHostTest() override { std::filesystem::remove_all(directory_); }
	std::string file(const std::string &name, const std::string &content)
	{
		std::string path = directory_ + "/" + name;
		std::ofstream(path) << content;
		return path;
	}

	NativeHost host_;
	std::string directory_;
};

} // namespace

TEST_F(NativeHostTest, Attributes)
{
	std::string text = "before";
	EXPECT_EQ(host_.sysfsRead(directory_ + "/none", text), -ENOENT);
	EXPECT_EQ(text, "before");
	EXPECT_EQ(host_.sysfsRead(file("a", "value\n"), text), 0);
	EXPECT_EQ(text, "value");
	EXPECT_EQ(host_.sysfsRead(file("b", "two\nlines\n\n"), text), 0);
	EXPECT_EQ(text, "two\nlines\n");
	EXPECT_EQ(host_.sysfsRead(file("c", ""), text), 0);
	EXPECT_EQ(text, "");
	EXPECT_EQ(host_.sysfsRead(file("d", std::string((64 << 10) + 1, 'x')), text), -EFBIG);
	EXPECT_EQ(host_.sysfsRead(directory_, text), -EISDIR);
	EXPECT_EQ(host_.sysfsWrite(directory_ + "/a", "other"), 0);
	EXPECT_EQ(host_.sysfsRead(directory_ + "/a", text), 0);
	EXPECT_EQ(text, "other");
	EXPECT_EQ(host_.sysfsWrite(directory_ + "/none/x", "1"), -ENOENT);
	EXPECT_EQ(host_.sysfsWrite("/dev/full", "1"), -ENOSPC);
}

TEST_F(NativeHostTest, Directories)
{
	for (const char *name : {"c", "a", "b"})
		file(name, "");
	std::vector<std::string> names;
	EXPECT_EQ(host_.sysfsList(directory_, names), 0);
	EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "c"}));
	EXPECT_EQ(host_.sysfsList(directory_ + "/none", names), -ENOENT);
	ASSERT_EQ(::symlink("a", (directory_ + "/link").c_str()), 0);
	std::string path;
	EXPECT_EQ(host_.sysfsResolve(directory_ + "/link", path), 0);
	EXPECT_EQ(path.substr(path.rfind('/')), "/a");
	EXPECT_EQ(host_.sysfsResolve(directory_ + "/none", path), -ENOENT);
}

TEST_F(NativeHostTest, Files)
{
	EXPECT_EQ(host_.open(directory_ + "/none", O_RDWR), -ENOENT);
	EXPECT_EQ(host_.close(-1), -EBADF);
	const std::string path = file("f", std::string(8192, 'x'));
	HostFd fd = HostFd::open(host_, path, O_RDWR);
	EXPECT_TRUE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC);
	char byte = 0;
	EXPECT_EQ(host_.read(fd.get(), &byte, 1), 1);
	EXPECT_EQ(byte, 'x');
	EXPECT_EQ(host_.write(fd.get(), "y", 1), 1);
	EXPECT_EQ(host_.ioctl(fd.get(), 0x5700, nullptr), -ENOTTY);
	struct pollfd pfd = {fd.get(), POLLIN, 0};
	EXPECT_EQ(host_.poll(&pfd, 1, 0), 1);
	{
		HostMapping mapping(fd, 4096, PROT_READ, 4096, "f");
		EXPECT_EQ(mapping.data()[0], std::byte{'x'});
		HostMapping moved = std::move(mapping);
		EXPECT_FALSE(mapping); // NOLINT(bugprone-use-after-move): empty after it
		EXPECT_EQ(moved.size(), 4096u);
	}
	EXPECT_THROW(HostMapping(fd, 4096, PROT_READ, 1, "f"), Error);
	HostFd moved = std::move(fd);
	EXPECT_FALSE(fd); // NOLINT(bugprone-use-after-move): empty after it
	moved.reset();
	EXPECT_THROW(HostFd::open(host_, directory_ + "/none", O_RDWR), Error);
	EXPECT_GE(host_.currentNode(), 0);
}

TEST(HostChoice, Names)
{
	EXPECT_EQ(hostKindFromName("auto"), HostKind::Auto);
	EXPECT_EQ(hostKindFromName("native"), HostKind::Native);
	EXPECT_EQ(hostKindFromName("hosted"), HostKind::Hosted);
	EXPECT_THROW(hostKindFromName("Native"), Error);
	EXPECT_THROW(hostKindFromName(""), Error);
}

TEST(HostChoice, Environment)
{
	::setenv("WD_HOST", "native", 1);
	::setenv("WD_MACHINE", "other", 1);
	::setenv("WD_SYSFS", "/tmp", 1);
	const HostOptions options = HostOptions::fromEnvironment();
	::setenv("WD_HOST", "moon", 1);
	EXPECT_THROW(HostOptions::fromEnvironment(), Error);
	for (const char *name : {"WD_HOST", "WD_MACHINE", "WD_SYSFS"})
		::unsetenv(name);
	EXPECT_EQ(options.kind, HostKind::Native);
	EXPECT_EQ(options.machine, "other");
	EXPECT_EQ(options.sysfsDirectory, "/tmp");
	EXPECT_EQ(HostOptions::fromEnvironment().machine, "two-socket");
}

/* /dev/iommu alone is not enough for native: an upstream one has no accelerator of ours. */
TEST(HostChoice, OurDriverIsRecognisedByItsFlag)
{
	test::FakeHost host;
	EXPECT_TRUE(hasOurDriver(host));
	host.sysfs["/sys/class/uacce/hisi_zip-0/flags"] = "1";
	EXPECT_FALSE(hasOurDriver(host));
	host.sysfs["/sys/class/uacce/hisi_zip-0/flags"] = "rubbish";
	EXPECT_FALSE(hasOurDriver(host));
	/* All accelerators may belong to programs. */
	host.sysfs["/sys/bus/pci/drivers/wd_vfio/bind"] = "";
	EXPECT_TRUE(hasOurDriver(host));
	host.sysfs.erase("/sys/bus/pci/drivers/wd_vfio/bind");
	host.sysfs["/sys/class/uacce/hisi_zip-0/flags"] = "257";
	EXPECT_TRUE(hasOurDriver(host));
	host.openErrors["/dev/iommu"] = -EACCES;
	EXPECT_FALSE(hasOurDriver(host));
	EXPECT_TRUE(host.openFds.empty());
}

TEST(HostChoice, ErrorSaysWhatToDo)
{
	const Error error(EBUSY, "PASID 5", "attach", "use another");
	EXPECT_EQ(error.error(), EBUSY);
	EXPECT_EQ(error.line(), std::string(error.what()) + "; use another");
	EXPECT_NE(std::string(error.what()).find("PASID 5: attach"), std::string::npos);
	EXPECT_EQ(Error(EBUSY, "a", "b").line(), Error(EBUSY, "a", "b").what());
}
