// SPDX-License-Identifier: Apache-2.0
/*
 * Streams of any length. Each has a queue of its own, through the C interface of the library. This
 * code uses no Python: it runs without the interpreter's lock, while other Python threads work.
 */
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "wd/error.h"
#include "wd/zip.h"

namespace wd::python
{

/** The data does not have the expected format. what() ends with status(). */
class DataError : public Error
{
public:
	explicit DataError(const char *status);
	const char *status() const noexcept { return tried().c_str(); }
};

/** A queue, a stream, and one buffer each for input and output. Thread-bound. */
class Codec
{
public:
	/**
	 * @param format "gzip", "zlib" or "deflate"
	 * @param device name, or empty for the nearest
	 * @throws Error: as wd_request_queue()
	 */
	Codec(int operation, const std::string &format, const std::string &device);
	~Codec();
	Codec(const Codec &) = delete;
	Codec &operator=(const Codec &) = delete;

protected:
	static constexpr uint32_t kBlock = 1u << 20;

	char *input() const { return memory_.get(); }
	/**
	 * Run a part of @length bytes of input(), and append its output to @out. @throws DataError
	 */
	wd_zip_req part(size_t length, int flush, std::string &out);
	wd_zip_stream *stream() const { return stream_; }
	const std::string &format() const { return format_; }

private:
	struct Free {
		void operator()(char *memory) const { std::free(memory); }
	};

	std::string format_;
	const uint32_t room_ = wd_zip_bound(kBlock);
	std::unique_ptr<char, Free> memory_;
	wd_queue queue_{};
	wd_zip_stream *stream_ = nullptr;
};

/** Compresses a stream that comes in pieces. */
class Compressor : public Codec
{
public:
	Compressor(const std::string &format, const std::string &device)
		: Codec(WD_OP_COMPRESS, format, device)
	{
	}
	/** @return the output so far. The whole output does not depend on how the input was cut. */
	std::string compress(std::string_view data);
	/** @return the rest of the output. The next call of compress() begins a new stream. */
	std::string finish();

private:
	size_t filled_ = 0;
};

/**
 * Decompresses a stream that comes in pieces. gzip may have several members, and zeros at the end.
 */
class Decompressor : public Codec
{
public:
	Decompressor(const std::string &format, const std::string &device)
		: Codec(WD_OP_DECOMPRESS, format, device)
	{
	}
	/** @throws DataError, also for every later call */
	std::string decompress(std::string_view data);
	/** True if the data so far is complete. */
	bool ended() const;

private:
	void block(size_t length, std::string &out);
	bool checkTail(std::string_view rest);

	bool member_ = false, padding_ = false, failed_ = false;
};

} // namespace wd::python
