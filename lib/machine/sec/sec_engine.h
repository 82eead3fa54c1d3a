/* SPDX-License-Identifier: Apache-2.0 */
/* Execution of a descriptor by the SEC accelerator. */
#pragma once

#include "machine/queue_manager.h"
#include "sec/descriptor.h"
#include "zip/buffers.h"

namespace wd::machine::sec
{

class Workspace;

/** It keeps nothing from one request to the next. */
class SecEngine final : public TaskEngine
{
public:
	/** @classes: bits of Class. */
	explicit SecEngine(unsigned classes);

	bool execute(Task &task) noexcept override;
	void abandon(Task &task) noexcept override;
	void forget(unsigned) noexcept override {}

private:
	Error attempt(Task &task, Workspace &workspace, Job &job) const;

	const unsigned classes_;
};

} // namespace wd::machine::sec
