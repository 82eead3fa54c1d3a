// SPDX-License-Identifier: Apache-2.0
/*
 * The attackers are two guests: their first-stage tables, requests and flushes come from the
 * fuzzer. With any of them, walks and requests must stay within the guest's pages and the rights of
 * the parent table.
 */
#include <cstdio>
#include <cstdlib>

#include "../common/hostile_guests.h"

namespace
{

/** The fuzzer's input, repeated. */
class Input final : public wd::machine::test::Decisions
{
public:
	Input(const uint8_t *data, size_t size) : data_(data), size_(size) {}

	uint64_t next(unsigned bytes) override
	{
		uint64_t value = 0;

		for (unsigned i = 0; i < bytes; i++) {
			value |= uint64_t{data_[at_]} << (8 * i);
			at_ = at_ + 1 < size_ ? at_ + 1 : 0;
			consumed_++;
		}
		return value;
	}
	void rewind() { at_ = consumed_ = 0; }
	bool empty() const { return consumed_ >= size_; }

private:
	const uint8_t *data_;
	size_t size_, at_ = 0, consumed_ = 0;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	using namespace wd::machine::test;

	if (size < 8)
		return 0;
	Input input(data, size);
	HostileGuests guests(HostileSetup::from(input), input);

	input.rewind();
	while (!input.empty()) {
		if (!guests.step()) {
			std::fprintf(stderr, "violated: %s\n", guests.violation().c_str());
			std::abort();
		}
	}
	return 0;
}
