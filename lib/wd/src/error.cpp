// SPDX-License-Identifier: Apache-2.0
#include "wd/error.h"

#include <utility>

namespace wd
{

Error::Error(int error, std::string object, std::string tried, std::string remedy)
	: std::system_error(error, std::generic_category(), object + ": " + tried),
	  object_(std::move(object)),
	  tried_(std::move(tried)),
	  remedy_(std::move(remedy))
{
}

Error::~Error() = default;

std::string Error::line() const
{
	return remedy_.empty() ? std::string(what()) : std::string(what()) + "; " + remedy_;
}

} // namespace wd
