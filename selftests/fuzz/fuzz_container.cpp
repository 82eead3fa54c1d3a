// SPDX-License-Identifier: Apache-2.0
/* gzip and zlib headers come from untrusted files, in pieces of any size. */
#include <cstdlib>

#include "wd/container.h"

namespace
{

using namespace wd::zip;

/** Feed @in in pieces of @step bytes. @return bytes taken. */
size_t parse(HeaderParser &parser, std::span<const std::byte> in, size_t step)
{
	size_t eaten = 0;

	while (parser.state() == HeaderParser::State::More && eaten < in.size()) {
		auto piece = in.subspan(eaten, std::min(step, in.size() - eaten));
		size_t got = parser.feed(piece);

		if (got > piece.size() || (!got && parser.state() == HeaderParser::State::More))
			abort();
		eaten += got;
	}
	return eaten;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	auto algorithm = data[0] & 1 ? Algorithm::Gzip : Algorithm::Zlib;
	std::span in(reinterpret_cast<const std::byte *>(data + 2), size - 2);
	HeaderParser whole(algorithm), pieces(algorithm);
	size_t a = parse(whole, in, in.size() + 1);
	size_t b = parse(pieces, in, 1 + data[1] % 7);

	/* The result must not depend on where the pieces are cut. */
	if (whole.state() != pieces.state() ||
	    (whole.state() == HeaderParser::State::Done && a != b))
		abort();
	return 0;
}
