// SPDX-License-Identifier: Apache-2.0
#include "events.h"

namespace wd::machine::vtd
{

void EventLine::raise(uint32_t bits)
{
	const bool blocked = registers_.read(status_) & conditions_;

	registers_.setBits(status_, bits);
	if (blocked)
		return;
	registers_.setBits(control_, kEventPending);
	controlWritten();
}

void EventLine::controlWritten()
{
	const uint32_t control = registers_.read(control_);

	if ((control & kEventMask) || !(control & kEventPending))
		return;
	registers_.clearBits(control_, kEventPending);
	outbox_.post(message_);
}

void EventLine::statusCleared()
{
	if (!(registers_.read(status_) & conditions_))
		registers_.clearBits(control_, kEventPending);
}

} // namespace wd::machine::vtd
