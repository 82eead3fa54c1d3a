/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exception of the C++ library: one class. It carries the object, the attempt and a remedy, so
 * that a tool only has to print them in one line.
 */
#pragma once

#include <string>
#include <system_error>

namespace wd
{

/**
 * An operation that failed. code() is the errno (generic category). what() is "<object>: <tried>:
 * <text of the errno>".
 */
class Error : public std::system_error
{
public:
	/**
	 * @param error positive errno
	 * @param object the thing, as the user knows it: "hisi_zip-0", "/dev/iommu", "PASID 5"
	 * @param tried the attempt: "attach at PASID 5"
	 * @param remedy advice to the user, as an imperative without full stop; may be empty
	 */
	Error(int error, std::string object, std::string tried, std::string remedy = {});
	~Error() override;

	/** Positive errno. */
	int error() const noexcept { return code().value(); }
	const std::string &object() const noexcept { return object_; }
	const std::string &tried() const noexcept { return tried_; }
	const std::string &remedy() const noexcept { return remedy_; }
	/** what(), and the remedy in the same line if there is one. */
	std::string line() const;

private:
	std::string object_, tried_, remedy_;
};

} // namespace wd
