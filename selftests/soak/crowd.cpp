// SPDX-License-Identifier: Apache-2.0
#include "crowd.h"

#include <fmt/format.h>
#include <new>
#include <sys/mman.h>

#include "crowds.h"
#include "wd/hosted_host.h"

namespace wd::soak
{

void Crowd::Unmap::operator()(Work *work) const
{
	munmap(work, sizeof(Work));
}

Crowd::Crowd()
{
	void *memory = mmap(nullptr, sizeof(Work), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		throw std::bad_alloc();
	work_.reset(new (memory) Work{});
}

void Crowd::failed(const Start &start, const std::string &what)
{
	failures_.push_back(fmt::format("a user of kind '{}', seed {}: {}",
					kKindNames[static_cast<size_t>(start.kind)], start.seed,
					what));
}

std::unique_ptr<Crowd> Crowd::create(const std::shared_ptr<Host> &host)
{
	if (auto hosted = std::dynamic_pointer_cast<HostedHost>(host))
		return makeHostedCrowd(std::move(hosted));
	return makeNativeCrowd();
}

} // namespace wd::soak
