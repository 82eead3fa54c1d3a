// SPDX-License-Identifier: Apache-2.0
/* The CPU contenders of wdctl bench. */
#include "cpu_codec.h"

#include <stdexcept>
#include <zlib.h>

#include "machine/deflate_engine.h"

namespace wdctl
{
namespace
{

/** zlib with its default level and window. It resets its streams instead of making new ones. */
class ZlibCodec : public CpuCodec
{
public:
	explicit ZlibCodec(wd::zip::Algorithm algorithm)
	{
		int bits = algorithm == wd::zip::Algorithm::Zlib   ? MAX_WBITS
			   : algorithm == wd::zip::Algorithm::Gzip ? MAX_WBITS + 16
								   : -MAX_WBITS;

		if (deflateInit2(&deflate_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, bits, 8,
				 Z_DEFAULT_STRATEGY) != Z_OK)
			throw std::bad_alloc();
		if (inflateInit2(&inflate_, bits) != Z_OK) {
			deflateEnd(&deflate_);
			throw std::bad_alloc();
		}
	}
	~ZlibCodec() override
	{
		deflateEnd(&deflate_);
		inflateEnd(&inflate_);
	}
	ZlibCodec(const ZlibCodec &) = delete;
	ZlibCodec &operator=(const ZlibCodec &) = delete;

	std::string name() const override { return "zlib -6 on 1 CPU"; }

	size_t compress(std::span<const std::byte> in, std::span<std::byte> out) override
	{
		deflateReset(&deflate_);
		point(deflate_, in, out);
		return ::deflate(&deflate_, Z_FINISH) == Z_STREAM_END ? deflate_.total_out : 0;
	}

	size_t decompress(std::span<const std::byte> in, std::span<std::byte> out) override
	{
		inflateReset(&inflate_);
		point(inflate_, in, out);
		return ::inflate(&inflate_, Z_FINISH) == Z_STREAM_END ? inflate_.total_out : 0;
	}

private:
	static void point(z_stream &stream, std::span<const std::byte> in, std::span<std::byte> out)
	{
		stream.next_in = reinterpret_cast<Bytef *>(const_cast<std::byte *>(in.data()));
		stream.avail_in = static_cast<uInt>(in.size());
		stream.next_out = reinterpret_cast<Bytef *>(out.data());
		stream.avail_out = static_cast<uInt>(out.size());
	}

	z_stream deflate_{}, inflate_{};
};

/** The library of the model's engine, without queue, IOMMU or device. No container header. */
class EngineCodec : public CpuCodec
{
public:
	explicit EngineCodec(wd::zip::Algorithm algorithm)
		: format_(algorithm == wd::zip::Algorithm::Zlib ? wd::machine::DeflateFormat::Zlib
			  : algorithm == wd::zip::Algorithm::Gzip
				  ? wd::machine::DeflateFormat::Gzip
				  : wd::machine::DeflateFormat::Deflate)
	{
	}

	std::string name() const override { return "engine library on 1 CPU"; }

	size_t compress(std::span<const std::byte> in, std::span<std::byte> out) override
	{
		auto result = engine_.compress(in, out, format_);

		return result.status == wd::machine::DeflateStatus::Ok ? result.produced : 0;
	}

	size_t decompress(std::span<const std::byte> in, std::span<std::byte> out) override
	{
		auto result = engine_.decompress(in, out, format_);

		return result.status == wd::machine::DeflateStatus::Ok ? result.produced : 0;
	}

private:
	wd::machine::DeflateEngine engine_;
	wd::machine::DeflateFormat format_;
};

} // namespace

std::vector<std::unique_ptr<CpuCodec>> cpuCodecs(wd::zip::Algorithm algorithm)
{
	std::vector<std::unique_ptr<CpuCodec>> codecs;

	codecs.push_back(std::make_unique<ZlibCodec>(algorithm));
	codecs.push_back(std::make_unique<EngineCodec>(algorithm));
	return codecs;
}

} // namespace wdctl
