// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupt lines. A message only marks its line and wakes the line's thread, so a driver never
 * blocks a device model. The mark stays until a handler takes it: if a message comes while the line
 * is disabled or has no handler yet, it is delivered later. A masked MSI-X entry keeps its pending
 * bit in the same way.
 *
 * The line of an interrupt pin has a level instead: handlers run again and again while it is
 * asserted.
 *
 * Lock order: registry mutex, then a line's mutex. Handlers run with neither.
 */
#include "core/immortal.h"
#include "irq_lines.h"

#include <hosted/test_hooks.h>
#include <linux/bug.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>

namespace wd::hostkernel
{

namespace
{

/* In Linux the platform's legacy interrupts have the lower numbers. */
constexpr unsigned kFirstNumber = 24, kLastNumber = 4095;
/* After so many interrupts in a row that no handler wants, Linux gives the line up, too. */
constexpr unsigned kMostUnwanted = 100000;

struct Action {
	irq_handler_t handler;
	irq_handler_t thread;
	unsigned long flags;
	const char *name;
	void *cookie;
};

} // namespace

class IrqLine
{
public:
	IrqLine(unsigned number, std::string name) : number_(number), name_(std::move(name)) {}
	~IrqLine() { stopThread(); }

	unsigned number() const { return number_; }

	void signal() noexcept
	{
		pending_.store(true, std::memory_order_relaxed);
		wake();
	}

	void setLevel(bool asserted) noexcept
	{
		level_.store(asserted, std::memory_order_release);
		if (asserted)
			wake();
	}

	int request(const Action &action)
	{
		std::lock_guard serial(requestMutex_);
		std::unique_lock lock(mutex_);

		if (!actions_.empty() && !((action.flags & actions_.front().flags) & IRQF_SHARED))
			return -EBUSY;
		if (actions_.empty()) {
			const int rc = startThread();

			if (rc)
				return rc;
			depth_ = action.flags & IRQF_NO_AUTOEN ? 1 : 0;
		}
		actions_.push_back(action);
		lock.unlock();
		wake();
		return 0;
	}

	/** Remove the handler of @cookie. @return false if there is none. */
	bool release(void *cookie, const char *&name)
	{
		std::lock_guard serial(requestMutex_);
		std::unique_lock lock(mutex_);
		auto it = std::find_if(actions_.begin(), actions_.end(),
				       [&](const Action &a) { return a.cookie == cookie; });

		if (it == actions_.end())
			return false;
		name = it->name;
		actions_.erase(it);
		waitIdle(lock);
		if (!actions_.empty())
			return true;
		lock.unlock();
		stopThread();
		return true;
	}

	bool hasActions()
	{
		std::lock_guard lock(mutex_);

		return !actions_.empty();
	}

	void removeAll()
	{
		std::lock_guard serial(requestMutex_);
		std::unique_lock lock(mutex_);

		actions_.clear();
		waitIdle(lock);
		lock.unlock();
		stopThread();
	}

	void disable()
	{
		std::lock_guard lock(mutex_);

		depth_++;
	}

	void enable()
	{
		{
			std::lock_guard lock(mutex_);

			if (WARN(!depth_, "Unbalanced enable for IRQ %u\n", number_))
				return;
			depth_--;
		}
		wake();
	}

	/* Also for a line without handlers: the state holds for a handler that comes later. */
	void suspend(bool asleep)
	{
		{
			std::lock_guard lock(mutex_);

			asleep_ = asleep;
		}
		wake();
	}

	void synchronize()
	{
		std::unique_lock lock(mutex_);

		waitIdle(lock);
	}

private:
	void wake() noexcept
	{
		wake_.fetch_add(1, std::memory_order_release);
		wake_.notify_one();
	}

	/*
	 * Wait until no handler runs. A handler that waits for itself would wait for ever, as it
	 * does in Linux, so it does not wait here.
	 */
	void waitIdle(std::unique_lock<std::mutex> &lock)
	{
		if (get_current() == thread_)
			return;
		idle_.wait(lock, [&] { return !running_; });
	}

	int startThread()
	{
		stop_ = false;
		task_struct *thread = kthread_run(&IrqLine::threadMain, this, "irq/%u-%s", number_,
						  name_.c_str());

		if (IS_ERR(thread))
			return static_cast<int>(PTR_ERR(thread));
		thread_ = thread;
		return 0;
	}

	void stopThread()
	{
		task_struct *thread;
		{
			std::lock_guard lock(mutex_);

			thread = thread_;
			if (!thread || thread == get_current())
				return;
			thread_ = nullptr;
			stop_ = true;
		}
		wake();
		kthread_stop(thread);
	}

	static int threadMain(void *self)
	{
		static_cast<IrqLine *>(self)->run();
		/* Stay until kthread_stop(), which needs a thread that still exists. */
		set_current_state(TASK_INTERRUPTIBLE);
		while (!kthread_should_stop()) {
			schedule();
			set_current_state(TASK_INTERRUPTIBLE);
		}
		__set_current_state(TASK_RUNNING);
		return 0;
	}

	void run()
	{
		std::vector<Action> actions;

		for (;;) {
			const uint32_t seen = wake_.load(std::memory_order_acquire);
			{
				std::lock_guard lock(mutex_);

				if (stop_)
					return;
				actions.clear();
				if (depth_ == 0 && !asleep_ && !actions_.empty() && due()) {
					actions = actions_;
					running_ = true;
				}
			}
			if (actions.empty()) {
				wake_.wait(seen, std::memory_order_acquire);
				continue;
			}
			bool wanted = false;

			for (const Action &action : actions)
				wanted |= deliver(action) != IRQ_NONE;
			{
				std::lock_guard lock(mutex_);

				running_ = false;
				noteResult(wanted);
			}
			idle_.notify_all();
		}
	}

	bool due() noexcept
	{
		const bool message = pending_.exchange(false, std::memory_order_acquire);

		return message || level_.load(std::memory_order_acquire);
	}

	void noteResult(bool wanted)
	{
		unwanted_ = wanted ? 0 : unwanted_ + 1;
		if (unwanted_ < kMostUnwanted)
			return;
		unwanted_ = 0;
		depth_++;
		pr_err("irq %u: nobody cared\n", number_);
	}

	irqreturn_t deliver(const Action &action)
	{
		const int irq = static_cast<int>(number_);
		irqreturn_t result = IRQ_WAKE_THREAD;

		if (action.handler) {
			preempt_disable();
			result = action.handler(irq, action.cookie);
			preempt_enable();
		}
		if (result == IRQ_WAKE_THREAD && action.thread)
			action.thread(irq, action.cookie);
		return result;
	}

	const unsigned number_;
	const std::string name_;
	std::atomic<uint32_t> wake_{0};
	std::atomic<bool> pending_{false}, level_{false};
	/* Serialises request and release, which start and end the thread. Taken before mutex_. */
	std::mutex requestMutex_;
	std::mutex mutex_;
	std::condition_variable idle_;
	std::vector<Action> actions_;
	unsigned depth_ = 0, unwanted_ = 0;
	bool running_ = false, stop_ = false, asleep_ = false;
	task_struct *thread_ = nullptr;
};

namespace
{

struct Registry {
	std::mutex mutex;
	std::map<unsigned, std::shared_ptr<IrqLine>> lines;
};

Registry &registry()
{
	static Immortal<Registry> instance;

	return *instance;
}

std::shared_ptr<IrqLine> lineOf(unsigned irq)
{
	Registry &r = registry();
	std::lock_guard lock(r.mutex);
	auto it = r.lines.find(irq);

	return it == r.lines.end() ? nullptr : it->second;
}

/* First of the lowest @count free consecutive numbers, as MSI needs them. */
unsigned freeNumbers(const Registry &r, unsigned count)
{
	unsigned first = kFirstNumber;

	for (const auto &[number, line] : r.lines) {
		if (number - first >= count)
			break;
		first = number + 1;
	}
	return first;
}

} // namespace

IrqLines::IrqLines(machine::PciFunction &function, unsigned count, const std::string &device)
	: function_(function)
{
	Registry &r = registry();
	{
		std::lock_guard lock(r.mutex);
		const unsigned first = freeNumbers(r, count);

		for (unsigned i = 0; i < count && first + i <= kLastNumber; i++) {
			lines_.push_back(std::make_shared<IrqLine>(first + i, device));
			r.lines.emplace(first + i, lines_.back());
		}
	}
	function_.setInterruptSink(this);
}

static void removeLine(IrqLine &line)
{
	if (WARN(line.hasActions(), "irq %u still has a handler\n", line.number()))
		line.removeAll();
	Registry &r = registry();
	std::lock_guard lock(r.mutex);

	r.lines.erase(line.number());
}

IrqLines::~IrqLines()
{
	function_.setInterruptSink(nullptr);
	for (const auto &line : lines_)
		removeLine(*line);
}

PinLine::PinLine(machine::PciFunction &function, const std::string &device) : function_(function)
{
	Registry &r = registry();
	{
		std::lock_guard lock(r.mutex);
		const unsigned number = freeNumbers(r, 1);

		line_ = std::make_shared<IrqLine>(number, device);
		r.lines.emplace(number, line_);
	}
	function_.setPinSink(this);
}

PinLine::~PinLine()
{
	function_.setPinSink(nullptr);
	removeLine(*line_);
}

unsigned PinLine::number() const
{
	return line_->number();
}

void PinLine::pinChanged(bool asserted) noexcept
{
	line_->setLevel(asserted);
}

unsigned IrqLines::number(unsigned vector) const
{
	return lines_[vector]->number();
}

void IrqLines::signal(unsigned vector) noexcept
{
	if (vector < lines_.size())
		lines_[vector]->signal();
}

static std::vector<std::shared_ptr<IrqLine>> allLines()
{
	Registry &r = registry();
	std::lock_guard lock(r.mutex);
	std::vector<std::shared_ptr<IrqLine>> lines;

	for (const auto &[number, line] : r.lines)
		lines.push_back(line);
	return lines;
}

/* Lines that a driver has disabled stay so after irqsResume(). */
void irqsSuspend()
{
	for (const auto &line : allLines()) {
		line->suspend(true);
		line->synchronize();
	}
}

void irqsResume()
{
	for (const auto &line : allLines())
		line->suspend(false);
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

int request_threaded_irq(unsigned int irq, irq_handler_t handler, irq_handler_t thread_fn,
			 unsigned long flags, const char *name, void *dev_id)
{
	if (irq == IRQ_NOTCONNECTED)
		return -ENOTCONN;
	if ((!handler && !thread_fn) || ((flags & IRQF_SHARED) && !dev_id) ||
	    ((flags & IRQF_SHARED) && (flags & IRQF_NO_AUTOEN)))
		return -EINVAL;
	const auto line = lineOf(irq);

	return line ? line->request({handler, thread_fn, flags, name, dev_id}) : -EINVAL;
}

const void *free_irq(unsigned int irq, void *dev_id)
{
	const auto line = lineOf(irq);
	const char *name = nullptr;

	if (!line)
		return nullptr;
	WARN(!line->release(dev_id, name), "Trying to free already-free IRQ %u\n", irq);
	return name;
}

void disable_irq_nosync(unsigned int irq)
{
	if (const auto line = lineOf(irq))
		line->disable();
}

void disable_irq(unsigned int irq)
{
	if (const auto line = lineOf(irq)) {
		line->disable();
		line->synchronize();
	}
}

void enable_irq(unsigned int irq)
{
	if (const auto line = lineOf(irq))
		line->enable();
}

void synchronize_irq(unsigned int irq)
{
	if (const auto line = lineOf(irq))
		line->synchronize();
}
