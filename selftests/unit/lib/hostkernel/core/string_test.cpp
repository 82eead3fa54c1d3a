// SPDX-License-Identifier: Apache-2.0
/* Text: the kernel's printf, numbers, copies. */
#include <string>

#include <gtest/gtest.h>

#include <linux/crc32.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "booted.h"

namespace
{

template <class... Arguments>
std::string format(const char *fmt, Arguments... arguments)
{
	char text[256];
	wd_snprintf(text, sizeof(text), fmt, arguments...);
	return text;
}

TEST(Format, IntegersOfEverySize)
{
	const char *volatile none = nullptr;
	EXPECT_EQ(format("%d %u %5d|%-5d|%05d", -1, 4000000000u, 42, 42, 42),
		  "-1 4000000000    42|42   |00042");
	EXPECT_EQ(format("%lld %llu %llx", -1ll, ~0ull, 0xdeadbeefcafeull),
		  "-1 18446744073709551615 deadbeefcafe");
	EXPECT_EQ(format("%#x %08lx %zu %hhu %c%%", 255, 0xabcul, sizeof(int), 300, 'x'),
		  "0xff 00000abc 4 44 x%");
	EXPECT_EQ(format("%*d|%.*s|%-8s|%s", 4, 7, 2, "abcdef", "ab",
			 static_cast<const char *>(none)),
		  "   7|ab|ab      |(null)");
}

TEST(Format, KernelPointers)
{
	u64 address = 0x1000;
	EXPECT_EQ(format("%pe", ERR_PTR(-ENOMEM)), "-ENOMEM");
	EXPECT_EQ(format("%pad", &address), "0x0000000000001000");
	EXPECT_EQ(format("%pK", reinterpret_cast<void *>(0x10)), "0x10");
}

TEST(Format, TruncatesAndTellsTheLength)
{
	char text[4];
	EXPECT_EQ(wd_snprintf(text, sizeof(text), "%s", "abcdef"), 6);
	EXPECT_STREQ(text, "abc");
	EXPECT_EQ(scnprintf(text, sizeof(text), "%s", "abcdef"), 3);
	EXPECT_STREQ(text, "abc");
	char *made = kasprintf(GFP_KERNEL, "%s-%d", "q", 7);
	EXPECT_STREQ(made, "q-7");
	kfree(made);
}

TEST(Numbers, AreParsedWhole)
{
	int number = 0;
	EXPECT_EQ(kstrtoint("0x10\n", 0, &number), 0);
	EXPECT_EQ(number, 16);
	EXPECT_EQ(kstrtoint("010", 0, &number), 0);
	EXPECT_EQ(number, 8);
	EXPECT_EQ(kstrtoint("12 ", 0, &number), -EINVAL);
	EXPECT_EQ(kstrtoint("", 0, &number), -EINVAL);
	EXPECT_EQ(kstrtoint("4294967296", 0, &number), -ERANGE);
	EXPECT_EQ(kstrtoint("-2147483648", 10, &number), 0);
	EXPECT_EQ(kstrtoint("2147483648", 10, &number), -ERANGE);
	bool flag = false;
	EXPECT_EQ(kstrtobool("on", &flag), 0);
	EXPECT_TRUE(flag);
	EXPECT_EQ(kstrtobool("maybe", &flag), -EINVAL);
}

TEST(Strings, Compare)
{
	EXPECT_TRUE(sysfs_streq("auto\n", "auto"));
	EXPECT_FALSE(sysfs_streq("auto\n\n", "auto"));
	const char zeros[40] = {};
	EXPECT_EQ(memchr_inv(zeros, 0, sizeof(zeros)), nullptr);
}

/* The check value of CRC-32C, and a CRC in two parts. */
TEST(Crc, Castagnoli)
{
	const auto *text = reinterpret_cast<const unsigned char *>("123456789");

	EXPECT_EQ(__crc32c_le(~0u, text, 9), ~0xe3069283u);
	EXPECT_EQ(__crc32c_le(__crc32c_le(~0u, text, 4), text + 4, 5), ~0xe3069283u);
	EXPECT_EQ(__crc32c_le(5, text, 0), 5u);
}

TEST_F(BootedTest, WarningsReachTheLogAndInfoDoesNot)
{
	pr_err("first %d\n", 1);
	printk(KERN_INFO "not this\n");
	pr_warn("second\n");
	EXPECT_EQ(wd::hostkernel::kernelLog(), (std::vector<std::string>{"first 1", "second"}));
}

} // namespace
