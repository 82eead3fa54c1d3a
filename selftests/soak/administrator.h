/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Actions on the machine while its users work: accelerators are reset and change their driver and
 * mode, the machine sleeps, the IOMMU's driver goes and comes back. It also keeps the books of
 * resources in use, which must be the same before the first user and after the last.
 */
#pragma once

#include <array>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "wd/any_host.h"

namespace wd::soak
{

enum class Event { Reset, Driver, Mode, Sleep, Unit };
constexpr std::array<const char *, 5> kEventNames = {
	"resets", "changes of driver", "changes of mode", "sleeps", "unbinds of the IOMMU"};

/** Resources in use, by name: free queues of each accelerator, domain ids, attachments ... */
using Books = std::map<std::string, std::string>;

/** Thread-bound. */
class Administrator
{
public:
	/**
	 * @host must have accelerators, all with the driver that they have after boot.
	 * @param sleepCommand native only: a shell command that lets the machine sleep; "": none
	 * @throws std::runtime_error there is no accelerator, no IOMMU of ours, or no first-stage
	 *	tables, which mode "pinned" needs
	 */
	Administrator(std::shared_ptr<Host> host, std::string sleepCommand);

	/**
	 * @return true if it has happened; false: the kernel refused, or nothing would wake the
	 * machine
	 */
	bool happen(Event event, std::mt19937_64 &random);
	/** Give every accelerator its first driver and mode again. @return a failure, or "" */
	std::string restore();
	Books books() const;

private:
	std::string number(const std::string &path) const;
	bool write(const std::string &path, const std::string &value) const;
	bool give(const std::string &function, const std::string &driver) const;
	/** Name of its uacce device; "" if there is none. */
	std::string uacce(const std::string &function) const;
	bool setMode(const std::string &function, const std::string &mode) const;
	bool changeMode(const std::string &function, std::mt19937_64 &random) const;
	bool sleep() const;
	bool renewUnit() const;

	std::shared_ptr<Host> host_;
	std::string sleepCommand_;
	std::vector<std::string> functions_; /**< addresses of the accelerators */
	std::string unit_;		     /**< address of the IOMMU */
};

} // namespace wd::soak
