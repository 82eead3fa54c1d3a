// SPDX-License-Identifier: Apache-2.0
/* A user that owns a whole function through wd_vfio. */
#include "helpers.h"

#include <cstring>

#include <linux/vfio_cdev.h>

extern "C" {
#include "../ktap/vfio/owner.h"
}

namespace wd::soak
{

namespace
{

constexpr uint64_t kIova = 0x10000000;
constexpr size_t kIn = ZIP_MEMORY, kOut = kIn + kSource;
constexpr uint16_t kMemoryAndMaster = 6;
constexpr uint64_t kCommand = 4;

class Function
{
public:
	explicit Function(User &user) : user_(user) { host_.host = owner_.host = user.host; }
	bool take();
	bool start();
	bool work();
	bool replace();
	bool reset() { return !owner_ioctl(&owner_, VFIO_DEVICE_RESET, nullptr) && start(); }
	bool isNotReachedUnmapped();

private:
	User &user_;
	owner owner_ = {};
	zip zip_ = {};
	zip_registers registers_ = {};
	device host_ = {};
	space space_ = {&host_, -1, 0, 0};
};

bool Function::take()
{
	const auto all = names(user_.host, "/sys/bus/pci/drivers/wd_vfio");
	std::vector<std::string> functions;

	for (const std::string &name : all)
		if (name.find(':') != std::string::npos)
			functions.push_back(name);
	if (functions.empty())
		return false;
	const std::string &address = functions[user_.below(functions.size())];
	std::memcpy(owner_.address, address.c_str(),
		    std::min<size_t>(address.size() + 1, OWNER_ADDRESS - 1));
	return !space_open(&host_, &space_) && !owner_open(&owner_) &&
	       !owner_bind(&owner_, space_.fd) && !space_map(&space_, user_.arena, kArena, kIova) &&
	       !owner_attach(&owner_, space_.ioas);
}

bool Function::start()
{
	uint16_t command = kMemoryAndMaster;

	if (owner_write(&owner_, VFIO_PCI_CONFIG_REGION_INDEX, kCommand, &command,
			sizeof(command)) < 0)
		return false;
	registers_ = owner_registers(&owner_);
	/* The registers of a lost function read all ones: zip_start() returns an error at once. */
	return !zip_start(&zip_, &registers_, user_.arena, kIova) &&
	       !zip_queue(&zip_, ZIP_COMPRESS);
}

bool Function::work()
{
	text_fill(user_.arena + kIn, kSource, static_cast<unsigned>(user_.random()));
	const int length = zip_run(&zip_, kIova + kIn, kSource, kIova + kOut, kDest);
	if (length > 0 && !inflates_to(user_.arena + kOut, static_cast<size_t>(length),
				       user_.arena + kIn, kSource))
		user_.fail("an owner's request succeeded, and its output is wrong");
	user_.work += length > 0;
	return length > 0;
}

/* Replace the table by another one with the same mappings. */
bool Function::replace()
{
	const uint32_t before = space_.ioas;
	uint32_t ioas;

	if (table_ioas(&space_, &ioas) || table_map(&space_, ioas, user_.arena, kArena, kIova) ||
	    owner_attach(&owner_, ioas))
		return false;
	space_.ioas = ioas;
	return !table_destroy(&space_, before);
}

bool Function::isNotReachedUnmapped()
{
	uint8_t *out = user_.arena + kOut;

	if (owner_detach(&owner_))
		return false;
	std::memset(out, kUntouched, kDest);
	zip_dump(&zip_, kIova + kOut);
	if (!untouched(out, kDest)) {
		user_.fail("a function wrote though nothing is attached to it");
		return false;
	}
	return !owner_attach(&owner_, space_.ioas);
}

} // namespace

void liveAsOwner(User &user)
{
	Function function(user);

	if (!function.take() || user.stop || !function.start())
		return;
	for (auto rounds = user.below(40); rounds && !user.stop; rounds--) {
		switch (user.below(8)) {
		case 0:
			if (!function.reset())
				return;
			break;
		case 1:
			if (!function.replace())
				return;
			break;
		case 2:
			if (!function.isNotReachedUnmapped())
				return;
			break;
		default:
			/*
			 * The machine may have slept, or the function may have another owner now.
			 */
			if (!function.work() && (user.stop || !function.start()))
				return;
		}
	}
}

} // namespace wd::soak
