// SPDX-License-Identifier: Apache-2.0
#include "codec.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "base/bits.h"

namespace wd::python
{

namespace
{

constexpr size_t kPage = kPageSize;

void check(int error, const std::string &object, const char *tried)
{
	if (error)
		throw Error(-error, object, std::string(tried) + ": " + wd_last_error());
}

} // namespace

DataError::DataError(const char *status) : Error(EILSEQ, "data", status) {}

Codec::Codec(int operation, const std::string &format, const std::string &device) : format_(format)
{
	const size_t size = (kBlock + room_ + kPage - 1) & ~(kPage - 1);
	memory_.reset(static_cast<char *>(std::aligned_alloc(kPage, size)));
	if (!memory_)
		throw std::bad_alloc();
	queue_.capa.alg = format_.c_str();
	queue_.capa.op_type = operation;
	if (!device.empty()) {
		const std::string path = "/dev/" + device;
		if (path.size() >= sizeof(queue_.dev_path))
			throw Error(ENODEV, device, "find an accelerator of that name");
		std::memcpy(queue_.dev_path, path.c_str(), path.size() + 1);
	}
	check(wd_request_queue(&queue_), format_, "take a queue");
	int error = wd_mem_share(&queue_, memory_.get(), size, 0);
	if (!error)
		error = wd_zip_stream_open(&queue_, &stream_);
	if (error) {
		const std::string why = wd_last_error();
		wd_release_queue(&queue_);
		throw Error(-error, format_, "begin a stream: " + why);
	}
}

Codec::~Codec()
{
	wd_zip_stream_close(stream_);
	wd_release_queue(&queue_);
}

wd_zip_req Codec::part(size_t length, int flush, std::string &out)
{
	wd_zip_req request{};
	request.src = input();
	request.src_len = static_cast<uint32_t>(length);
	request.dst = input() + kBlock;
	request.dst_len = room_;
	request.stream = stream_;
	request.flush = flush;
	check(wd_zip_run(&queue_, &request, -1), queue_.dev_path, "run a request");
	if (request.status == WD_ZIP_NOT_SHARED)
		throw Error(EFAULT, queue_.dev_path, wd_last_error());
	if (request.status != WD_ZIP_OK && request.status != WD_ZIP_STREAM_END)
		throw DataError(wd_zip_status_text(request.status));
	out.append(input() + kBlock, request.produced);
	return request;
}

std::string Compressor::compress(std::string_view data)
{
	std::string out;
	while (!data.empty()) {
		if (filled_ == kBlock) {
			part(kBlock, WD_ZIP_SYNC, out);
			filled_ = 0;
		}
		const std::string_view piece = data.substr(0, kBlock - filled_);
		std::ranges::copy(piece, input() + filled_);
		filled_ += piece.size();
		data.remove_prefix(piece.size());
	}
	return out;
}

std::string Compressor::finish()
{
	std::string out;
	part(filled_, WD_ZIP_FINISH, out);
	filled_ = 0;
	wd_zip_stream_reset(stream());
	return out;
}

std::string Decompressor::decompress(std::string_view data)
{
	if (failed_)
		throw DataError("it was not in the format before");
	std::string out;
	failed_ = true;
	while (!data.empty()) {
		const std::string_view piece = data.substr(0, kBlock);
		std::ranges::copy(piece, input());
		data.remove_prefix(piece.size());
		block(piece.size(), out);
	}
	failed_ = false;
	return out;
}

void Decompressor::block(size_t length, std::string &out)
{
	bool more = false;
	while (length || more) {
		if (!more && !checkTail({input(), length}))
			return;
		const wd_zip_req done = part(length, WD_ZIP_SYNC, out);
		more = done.more != 0;
		length -= done.consumed;
		std::memmove(input(), input() + done.consumed, length);
		if (done.status == WD_ZIP_STREAM_END) {
			member_ = true;
			wd_zip_stream_reset(stream());
		} else if (!done.consumed && !done.produced) {
			throw DataError("the device makes no progress");
		}
	}
}

/**
 * After the end of a gzip stream another member may follow, or zeros. @return false if @rest is
 * such zeros.
 */
bool Decompressor::checkTail(std::string_view rest)
{
	if (!ended())
		return true;
	if (format() == "gzip" && !padding_ && rest.front() != '\0')
		return true;
	padding_ = true;
	if (format() != "gzip" || rest.find_first_not_of('\0') != rest.npos)
		throw DataError("it goes on after the end");
	return false;
}

bool Decompressor::ended() const
{
	return member_ && wd_zip_stream_fresh(stream());
}

} // namespace wd::python
