/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: the commands of the protocol on one function (vfio-user sheet 3, 4). */
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "channel.h"
#include "interrupts.h"
#include "regions.h"
#include "vfio_user/server.h"

namespace wd::vfio_user
{

/** Thread-bound. */
class Session
{
public:
	Session(UniqueFd socket, const ServedFunction &served, int stop);

	/** Until the connection ends. */
	void run();

private:
	/** What a command is answered with. */
	struct Reply {
		int error = 0;
		std::vector<std::byte> body;
		std::optional<int> fd;
	};

	bool handshake();
	bool step();
	bool answer(const Message &message, const Reply &reply);
	Reply execute(Message &message);
	Reply dmaMap(Message &message);
	Reply dmaUnmap(const Message &message);
	Reply getInfo(const Message &message);
	Reply getRegionInfo(const Message &message);
	Reply getIrqInfo(const Message &message);
	Reply setIrqs(Message &message);
	Reply regionRead(const Message &message);
	Reply regionWrite(const Message &message);
	Reply reset(const Message &message);
	void log(const Message &message, const char *what, int error) const;

	const ServedFunction &served_;
	Channel channel_;
	Regions regions_;
	Interrupts interrupts_;
	GuestMemory::Client memory_;
};

} // namespace wd::vfio_user
