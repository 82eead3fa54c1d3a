// SPDX-License-Identifier: Apache-2.0
/*
 * Which library should do the work of the ZIP engine? Compares ISA-L, libdeflate and zlib on 64 KiB
 * blocks of a text-like and a binary input, raw deflate. Counter "ratio" is input size by output
 * size. The figures for the choice are in Documentation/design/machine/zip.rst.
 */
#include <benchmark/benchmark.h>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <isa-l/igzip_lib.h>
#include <libdeflate.h>
#include <memory>
#include <vector>
#include <zlib.h>

#include "machine/deflate_engine.h"

namespace
{

using Bytes = std::vector<uint8_t>;

constexpr size_t kBlock = 65536, kBlocks = 16;

uint32_t next(uint32_t &state)
{
	return (state = state * 1664525 + 1013904223) >> 8;
}

/* Words of a small vocabulary, some of them frequent, with numbers between them. */
Bytes textLike()
{
	std::vector<Bytes> words;
	uint32_t state = 1;

	for (unsigned i = 0; i < 2000; i++) {
		Bytes word;
		for (unsigned n = 2 + next(state) % 9; n; n--)
			word.push_back('a' + next(state) % 26);
		word.push_back(i % 13 ? ' ' : '\n');
		words.push_back(word);
	}
	Bytes data;
	while (data.size() < kBlock * kBlocks) {
		const uint32_t a = next(state) % 2000, b = next(state) % 2000;
		const Bytes &word = words[a * b / 2000];
		data.insert(data.end(), word.begin(), word.end());
		if (next(state) % 20 == 0)
			for (unsigned n = 4; n; n--)
				data.push_back('0' + next(state) % 10);
	}
	data.resize(kBlock * kBlocks);
	return data;
}

/* Records like those of programs: counters, small enumerations, pointers, floats, padding. */
Bytes binary()
{
	Bytes data;
	uint32_t state = 2, counter = 0;

	while (data.size() < kBlock * kBlocks) {
		uint8_t record[32] = {};
		counter += next(state) % 3;
		for (unsigned i = 0; i < 4; i++)
			record[i] = counter >> (8 * i);
		record[4] = next(state) % 5;
		record[8] = next(state), record[9] = next(state), record[10] = 0x7f,
		record[11] = 0x55;
		record[16] = next(state), record[17] = next(state), record[18] = next(state) % 4;
		record[19] = 0x40;
		data.insert(data.end(), record, record + 32);
	}
	data.resize(kBlock * kBlocks);
	return data;
}

const Bytes &input(int kind)
{
	static const Bytes inputs[] = {textLike(), binary()};

	return inputs[kind];
}

/** One library: both directions on one block, no allocation per call. Returns bytes produced. */
class Library
{
public:
	virtual ~Library() = default;
	virtual size_t pack(const uint8_t *in, size_t length, uint8_t *out, size_t room) = 0;
	virtual size_t unpack(const uint8_t *in, size_t length, uint8_t *out, size_t room) = 0;
};

class IsaL final : public Library
{
public:
	explicit IsaL(int level) : level_(level), buffer_(ISAL_DEF_LVL3_DEFAULT) {}
	size_t pack(const uint8_t *in, size_t length, uint8_t *out, size_t room) override
	{
		isal_deflate_stateless_init(&deflate_);
		deflate_.level = level_;
		deflate_.level_buf = buffer_.data();
		deflate_.level_buf_size = buffer_.size();
		deflate_.end_of_stream = 1;
		deflate_.next_in = const_cast<uint8_t *>(in);
		deflate_.avail_in = length;
		deflate_.next_out = out;
		deflate_.avail_out = room;
		return isal_deflate_stateless(&deflate_) == COMP_OK ? deflate_.total_out : 0;
	}
	size_t unpack(const uint8_t *in, size_t length, uint8_t *out, size_t room) override
	{
		isal_inflate_init(&inflate_);
		inflate_.next_in = const_cast<uint8_t *>(in);
		inflate_.avail_in = length;
		inflate_.next_out = out;
		inflate_.avail_out = room;
		return isal_inflate_stateless(&inflate_) == ISAL_DECOMP_OK ? inflate_.total_out : 0;
	}

private:
	int level_;
	Bytes buffer_;
	isal_zstream deflate_;
	inflate_state inflate_;
};

class LibDeflate final : public Library
{
public:
	explicit LibDeflate(int level)
		: compressor_(libdeflate_alloc_compressor(level)),
		  decompressor_(libdeflate_alloc_decompressor())
	{
	}
	~LibDeflate() override
	{
		libdeflate_free_compressor(compressor_);
		libdeflate_free_decompressor(decompressor_);
	}
	size_t pack(const uint8_t *in, size_t length, uint8_t *out, size_t room) override
	{
		return libdeflate_deflate_compress(compressor_, in, length, out, room);
	}
	size_t unpack(const uint8_t *in, size_t length, uint8_t *out, size_t room) override
	{
		size_t produced = 0;

		return libdeflate_deflate_decompress(decompressor_, in, length, out, room,
						     &produced) == LIBDEFLATE_SUCCESS
			       ? produced
			       : 0;
	}

private:
	libdeflate_compressor *compressor_;
	libdeflate_decompressor *decompressor_;
};

class Zlib final : public Library
{
public:
	explicit Zlib(int level)
	{
		deflateInit2(&deflate_, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
		inflateInit2(&inflate_, -15);
	}
	~Zlib() override
	{
		deflateEnd(&deflate_);
		inflateEnd(&inflate_);
	}
	size_t pack(const uint8_t *in, size_t length, uint8_t *out, size_t room) override
	{
		deflateReset(&deflate_);
		deflate_.next_in = const_cast<uint8_t *>(in);
		deflate_.avail_in = length;
		deflate_.next_out = out;
		deflate_.avail_out = room;
		return deflate(&deflate_, Z_FINISH) == Z_STREAM_END ? deflate_.total_out : 0;
	}
	size_t unpack(const uint8_t *in, size_t length, uint8_t *out, size_t room) override
	{
		inflateReset(&inflate_);
		inflate_.next_in = const_cast<uint8_t *>(in);
		inflate_.avail_in = length;
		inflate_.next_out = out;
		inflate_.avail_out = room;
		return inflate(&inflate_, Z_FINISH) == Z_STREAM_END ? inflate_.total_out : 0;
	}

private:
	z_stream deflate_{}, inflate_{};
};

/** The library that the project uses, through the project's interface. */
class Engine final : public Library
{
public:
	size_t pack(const uint8_t *in, size_t length, uint8_t *out, size_t room) override
	{
		return engine_
			.compress(std::as_bytes(std::span(in, length)),
				  std::as_writable_bytes(std::span(out, room)),
				  wd::machine::DeflateFormat::Deflate)
			.produced;
	}
	size_t unpack(const uint8_t *in, size_t length, uint8_t *out, size_t room) override
	{
		return engine_
			.decompress(std::as_bytes(std::span(in, length)),
				    std::as_writable_bytes(std::span(out, room)),
				    wd::machine::DeflateFormat::Deflate)
			.produced;
	}

private:
	wd::machine::DeflateEngine engine_;
};

std::unique_ptr<Library> make(const std::string &name, int level)
{
	if (name == "isal")
		return std::make_unique<IsaL>(level);
	if (name == "libdeflate")
		return std::make_unique<LibDeflate>(level);
	if (name == "zlib")
		return std::make_unique<Zlib>(level);
	return std::make_unique<Engine>();
}

[[noreturn]] void die(const char *what)
{
	fprintf(stderr, "bench_deflate_library: %s\n", what);
	abort();
}

void packing(benchmark::State &state, const std::string &name, int level, int kind)
{
	auto library = make(name, level);
	Bytes out(kBlock * 2);
	size_t block = 0, produced = 0, calls = 0;

	for (auto _ : state) {
		const size_t size =
			library->pack(&input(kind)[block * kBlock], kBlock, out.data(), out.size());
		if (!size)
			die("compression failed");
		produced += size;
		calls++;
		block = (block + 1) % kBlocks;
	}
	state.SetBytesProcessed(static_cast<int64_t>(calls * kBlock));
	state.counters["ratio"] = double(calls * kBlock) / double(produced);
}

/* All libraries decompress the same streams, made by zlib level 6. */
void unpacking(benchmark::State &state, const std::string &name, int kind)
{
	auto library = make(name, 1);
	Zlib reference(6);
	std::vector<Bytes> packed(kBlocks, Bytes(kBlock * 2));
	Bytes out(kBlock);
	size_t block = 0;

	for (size_t i = 0; i < kBlocks; i++)
		packed[i].resize(reference.pack(&input(kind)[i * kBlock], kBlock, packed[i].data(),
						packed[i].size()));
	for (auto _ : state) {
		if (library->unpack(packed[block].data(), packed[block].size(), out.data(),
				    kBlock) != kBlock)
			die("decompression failed");
		block = (block + 1) % kBlocks;
	}
	state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kBlock));
}

void add(const std::string &name, const std::vector<int> &levels)
{
	static const char *const kinds[] = {"text", "binary"};

	for (int kind : {0, 1}) {
		for (int level : levels)
			benchmark::RegisterBenchmark(("compress/" + name + "-" +
						      std::to_string(level) + "/" + kinds[kind])
							     .c_str(),
						     packing, name, level, kind);
		benchmark::RegisterBenchmark(("decompress/" + name + "/" + kinds[kind]).c_str(),
					     unpacking, name, kind);
	}
}

} // namespace

int main(int argc, char **argv)
{
	benchmark::Initialize(&argc, argv);
	add("isal", {0, 1, 2, 3});
	add("libdeflate", {1, 6});
	add("zlib", {1, 6});
	add("engine", {1});
	benchmark::RunSpecifiedBenchmarks();
	return 0;
}
