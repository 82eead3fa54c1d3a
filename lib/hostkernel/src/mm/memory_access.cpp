// SPDX-License-Identifier: GPL-2.0-only
#include "memory_access.h"

#include <csetjmp>
#include <csignal>
#include <mutex>
#include <ucontext.h>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__x86_64__)
/*
 * In assembly, so that no sanitizer instruments the accesses. Each row of the fault table has the
 * address of an instruction and the address at which to continue. All functions return the number
 * of bytes left in rax.
 */
asm(R"(
	.macro wd_fault from, to
	.pushsection wd_fault_table, "aw"
	.balign 8
	.quad \from, \to
	.popsection
	.endm

	.text
	.p2align 4
	.type wd_asm_copy, @function
wd_asm_copy:
	cmp	$512, %rdx
	ja	3f
	mov	%rdx, %rcx
	shr	$3, %rcx
	jz	2f
1:	mov	(%rsi), %rax
11:	mov	%rax, (%rdi)
	add	$8, %rsi
	add	$8, %rdi
	sub	$8, %rdx
	dec	%rcx
	jnz	1b
2:	test	%rdx, %rdx
	jz	5f
21:	movb	(%rsi), %al
22:	movb	%al, (%rdi)
	inc	%rsi
	inc	%rdi
	dec	%rdx
	jnz	21b
5:	mov	%rdx, %rax
	ret
3:	mov	%rdx, %rcx
31:	rep movsb
4:	mov	%rcx, %rax
	ret
	wd_fault 1b, 21b
	wd_fault 11b, 21b
	wd_fault 21b, 5b
	wd_fault 22b, 5b
	wd_fault 31b, 4b
	.size wd_asm_copy, . - wd_asm_copy

	.macro wd_load_store size, reg, extend
	.p2align 4
	.type wd_asm_load\size, @function
wd_asm_load\size:
1:	\extend	(%rdi), %\reg
	mov	%rax, (%rsi)
	xor	%eax, %eax
	ret
2:	mov	$1, %eax
	ret
	wd_fault 1b, 2b
	.size wd_asm_load\size, . - wd_asm_load\size
	.endm
	wd_load_store 1, eax, movzbl
	wd_load_store 2, eax, movzwl
	wd_load_store 4, eax, movl
	wd_load_store 8, rax, movq

	.macro wd_store size, reg
	.p2align 4
	.type wd_asm_store\size, @function
wd_asm_store\size:
1:	mov	%\reg, (%rdi)
	xor	%eax, %eax
	ret
2:	mov	$1, %eax
	ret
	wd_fault 1b, 2b
	.size wd_asm_store\size, . - wd_asm_store\size
	.endm
	wd_store 1, sil
	wd_store 2, si
	wd_store 4, esi
	wd_store 8, rsi

	.p2align 4
	.type wd_asm_cmpxchg, @function
wd_asm_cmpxchg:
	mov	(%rsi), %rax
1:	lock cmpxchg %rdx, (%rdi)
	mov	%rax, (%rsi)
	setz	%al
	movzbl	%al, %eax
	ret
2:	mov	$2, %eax
	ret
	wd_fault 1b, 2b
	.size wd_asm_cmpxchg, . - wd_asm_cmpxchg

	.p2align 4
	.type wd_asm_touch, @function
wd_asm_touch:
	test	%rsi, %rsi
	jz	3f
	test	%edx, %edx
	jnz	2f
1:	movb	(%rdi), %al
	add	$4096, %rdi
	dec	%rsi
	jnz	1b
	jmp	3f
2:	lock orb $0, (%rdi)
	add	$4096, %rdi
	dec	%rsi
	jnz	2b
3:	mov	%rsi, %rax
	ret
	wd_fault 1b, 3b
	wd_fault 2b, 3b
	.size wd_asm_touch, . - wd_asm_touch
)");

extern "C" {
size_t wd_asm_copy(void *dst, const void *src, size_t length);
int wd_asm_load1(const void *address, uint64_t *value);
int wd_asm_load2(const void *address, uint64_t *value);
int wd_asm_load4(const void *address, uint64_t *value);
int wd_asm_load8(const void *address, uint64_t *value);
int wd_asm_store1(void *address, uint64_t value);
int wd_asm_store2(void *address, uint64_t value);
int wd_asm_store4(void *address, uint64_t value);
int wd_asm_store8(void *address, uint64_t value);
int wd_asm_cmpxchg(void *address, uint64_t *expected, uint64_t desired);
size_t wd_asm_touch(const void *address, size_t pages, int write);

struct WdFaultRow {
	uintptr_t from, to;
};
extern const WdFaultRow __start_wd_fault_table[] __attribute__((visibility("hidden")));
extern const WdFaultRow __stop_wd_fault_table[] __attribute__((visibility("hidden")));
}
#endif

namespace wd::hostkernel
{
namespace
{

struct sigaction previousSegv, previousBus;

#if defined(__x86_64__)
bool continueAtLanding(void *context)
{
	auto *registers = static_cast<ucontext_t *>(context)->uc_mcontext.gregs;
	auto at = static_cast<uintptr_t>(registers[REG_RIP]);
	for (auto *row = __start_wd_fault_table; row != __stop_wd_fault_table; row++) {
		if (row->from == at) {
			registers[REG_RIP] = static_cast<greg_t>(row->to);
			return true;
		}
	}
	return false;
}
#else
thread_local sigjmp_buf *landing;

bool continueAtLanding(void *)
{
	if (!landing)
		return false;
	siglongjmp(*landing, 1);
}
#endif

void onFault(int signal, siginfo_t *info, void *context)
{
	if (continueAtLanding(context))
		return;
	const struct sigaction &previous = signal == SIGSEGV ? previousSegv : previousBus;
	if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(signal, info, context);
	} else if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
		/*
		 * The instruction faults again, and now the signal has the effect that it has
		 * without this handler.
		 */
		struct sigaction standard = {};
		standard.sa_handler = SIG_DFL;
		sigaction(signal, &standard, nullptr);
	} else {
		previous.sa_handler(signal);
	}
}

void install(int signal, struct sigaction &previous)
{
	struct sigaction mine = {};
	mine.sa_sigaction = onFault;
	mine.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	sigemptyset(&mine.sa_mask);
	sigaction(signal, &mine, &previous);
}

} // namespace

void memoryAccessInit()
{
	static std::once_flag once;
	std::call_once(once, [] {
		install(SIGSEGV, previousSegv);
		install(SIGBUS, previousBus);
	});
}

#if defined(__x86_64__)
namespace
{
/*
 * Install the handler when the program is loaded, which is before any use. It stays to the end of
 * the process.
 */
[[gnu::constructor]] void installAtLoad()
{
	memoryAccessInit();
}
} // namespace

size_t copyFaultable(void *dst, const void *src, size_t length)
{
	return wd_asm_copy(dst, src, length);
}

bool loadFaultable(const void *address, unsigned size, uint64_t &value)
{
	int failed = 1;
	switch (size) {
	case 1:
		failed = wd_asm_load1(address, &value);
		break;
	case 2:
		failed = wd_asm_load2(address, &value);
		break;
	case 4:
		failed = wd_asm_load4(address, &value);
		break;
	case 8:
		failed = wd_asm_load8(address, &value);
		break;
	}
#if defined(__SANITIZE_THREAD__)
	if (!failed)
		__tsan_acquire(const_cast<void *>(address));
#endif
	return !failed;
}

bool storeFaultable(void *address, unsigned size, uint64_t value)
{
#if defined(__SANITIZE_THREAD__)
	__tsan_release(address);
#endif
	switch (size) {
	case 1:
		return !wd_asm_store1(address, value);
	case 2:
		return !wd_asm_store2(address, value);
	case 4:
		return !wd_asm_store4(address, value);
	case 8:
		return !wd_asm_store8(address, value);
	}
	return false;
}

bool compareExchangeFaultable(void *address, uint64_t &expected, uint64_t desired, bool &exchanged)
{
#if defined(__SANITIZE_THREAD__)
	__tsan_release(address);
#endif
	int result = wd_asm_cmpxchg(address, &expected, desired);
	exchanged = result == 1;
#if defined(__SANITIZE_THREAD__)
	if (result != 2)
		__tsan_acquire(address);
#endif
	return result != 2;
}

size_t touchPages(const void *address, size_t pages, bool write)
{
	return pages - wd_asm_touch(address, pages, write);
}

#else /* other processors: a long jump ends an access that faults */

#define WD_NO_SANITIZE __attribute__((no_sanitize("address", "thread", "undefined"), noinline))

namespace
{
template <class Access>
WD_NO_SANITIZE bool guarded(Access access)
{
	sigjmp_buf here;
	sigjmp_buf *outer = landing;
	memoryAccessInit();
	if (sigsetjmp(here, 0)) {
		landing = outer;
		return false;
	}
	landing = &here;
	access();
	landing = outer;
	return true;
}

template <class T>
WD_NO_SANITIZE bool loadAs(const void *address, uint64_t &value)
{
	return guarded([&]() WD_NO_SANITIZE {
		value = __atomic_load_n(static_cast<const T *>(address), __ATOMIC_ACQUIRE);
	});
}

template <class T>
WD_NO_SANITIZE bool storeAs(void *address, uint64_t value)
{
	return guarded([&]() WD_NO_SANITIZE {
		__atomic_store_n(static_cast<T *>(address), static_cast<T>(value),
				 __ATOMIC_RELEASE);
	});
}
} // namespace

WD_NO_SANITIZE size_t copyFaultable(void *dst, const void *src, size_t length)
{
	auto *to = static_cast<volatile char *>(dst);
	auto *from = static_cast<const volatile char *>(src);
	volatile size_t done = 0;
	guarded([&]() WD_NO_SANITIZE {
		for (; done < length; done = done + 1)
			to[done] = from[done];
	});
	return length - done;
}

bool loadFaultable(const void *address, unsigned size, uint64_t &value)
{
	switch (size) {
	case 1:
		return loadAs<uint8_t>(address, value);
	case 2:
		return loadAs<uint16_t>(address, value);
	case 4:
		return loadAs<uint32_t>(address, value);
	case 8:
		return loadAs<uint64_t>(address, value);
	}
	return false;
}

bool storeFaultable(void *address, unsigned size, uint64_t value)
{
	switch (size) {
	case 1:
		return storeAs<uint8_t>(address, value);
	case 2:
		return storeAs<uint16_t>(address, value);
	case 4:
		return storeAs<uint32_t>(address, value);
	case 8:
		return storeAs<uint64_t>(address, value);
	}
	return false;
}

WD_NO_SANITIZE bool compareExchangeFaultable(void *address, uint64_t &expected, uint64_t desired,
					     bool &exchanged)
{
	return guarded([&]() WD_NO_SANITIZE {
		exchanged = __atomic_compare_exchange_n(static_cast<uint64_t *>(address), &expected,
							desired, false, __ATOMIC_SEQ_CST,
							__ATOMIC_SEQ_CST);
	});
}

WD_NO_SANITIZE size_t touchPages(const void *address, size_t pages, bool write)
{
	auto *at = static_cast<char *>(const_cast<void *>(address));
	volatile size_t done = 0;
	guarded([&]() WD_NO_SANITIZE {
		for (; done < pages; done = done + 1, at += 4096) {
			if (write)
				__atomic_fetch_or(at, 0, __ATOMIC_SEQ_CST);
			else
				__atomic_load_n(at, __ATOMIC_RELAXED);
		}
	});
	return done;
}
#endif

} // namespace wd::hostkernel
