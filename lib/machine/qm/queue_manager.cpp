// SPDX-License-Identifier: Apache-2.0
#include "machine/queue_manager.h"

#include <stdexcept>

#include "qm/impl.h"

namespace wd::machine
{

QueueManager::Impl::Impl(const QueueManagerConfig &config, QueueManagerHost &host,
			 TaskEngine &engine, EnginePool &pool, DmaRoute &translated,
			 DmaRoute &direct)
	: config(config),
	  host(host),
	  engine(engine),
	  translatedAgent(translated.createAgent()),
	  directAgent(direct.createAgent()),
	  pages(config.queues, config.sharedDoorbells),
	  queues(std::make_unique<qm::QueuePair[]>(config.queues))
{
	if (!config.queues || config.queues > qm::kMaxQueues)
		throw std::invalid_argument("a queue manager has 1 to 1024 queues");
	for (unsigned i = 0; i < config.queues; i++) {
		queues[i].init(*this, i, pages.words(i));
		pool.adopt(queues[i]);
	}
	resetRegisters();
}

qm::MemoryPort QueueManager::Impl::ringPort(EngineThread &thread)
{
	const auto rid = host.requester();

	return rid ? qm::MemoryPort{&thread.translated(), ridStream(*rid)}
		   : qm::MemoryPort{&thread.direct(), {}};
}

/* QM-MB-6 */
qm::MemoryPort QueueManager::Impl::mailboxPort()
{
	const auto rid = host.requester();

	return rid ? qm::MemoryPort{translatedAgent.get(), ridStream(*rid)}
		   : qm::MemoryPort{directAgent.get(), {}};
}

void QueueManager::Impl::report(uint32_t errorBits)
{
	if (errors.report(errorBits))
		host.message(kVectorAbnormal);
}

void QueueManager::Impl::postAsync(EngineThread &thread, unsigned queue, qm::AsyncType type)
{
	bool signal;

	/* If even this event cannot be written, only the error register can tell of it. */
	if (events[1].post(ringPort(thread), queue | type << 17, nullptr, signal) ==
	    qm::EventQueue::Result::Fault)
		report(qm::kErrorWriteResponse);
	if (signal)
		host.message(kVectorAsync);
}

void QueueManager::Impl::postCompletion(EngineThread &thread, unsigned queue, uint64_t &last)
{
	bool signal;
	const auto result = events[0].post(ringPort(thread), queue, &last, signal);

	if (signal)
		host.message(kVectorEvent);
	if (result == qm::EventQueue::Result::Full)
		postAsync(thread, queue, qm::kAsyncEqOverflow);
	else if (result == qm::EventQueue::Result::Fault)
		report(qm::kErrorWriteResponse);
}

QueueManager::QueueManager(const QueueManagerConfig &config, QueueManagerHost &host,
			   TaskEngine &engine, EnginePool &pool, DmaRoute &translated,
			   DmaRoute &direct)
	: impl_(std::make_unique<Impl>(config, host, engine, pool, translated, direct))
{
}

QueueManager::~QueueManager() = default;

uint32_t QueueManager::readRegister(uint64_t offset)
{
	return impl_->readRegister(offset);
}

void QueueManager::writeRegister(uint64_t offset, uint32_t value, unsigned bytes)
{
	impl_->writeRegister(offset, value, bytes);
}

void QueueManager::writeDoorbell(uint64_t, uint64_t value)
{
	impl_->ring(value, -1);
}

std::optional<SharedPages> QueueManager::sharedWords(uint64_t offset, size_t length)
{
	return impl_->pages.pages(offset, length);
}

/* QM-MB-7. deactivate() takes the queue's mutex, so it waits for the request that is running. */
void QueueManager::reset()
{
	std::lock_guard lock(impl_->mailboxMutex);

	for (unsigned i = 0; i < impl_->config.queues; i++)
		impl_->queues[i].deactivate();
	for (auto &event : impl_->events)
		event.reset();
	impl_->resetRegisters();
}

/* QM-FUNC-6 */
bool QueueManager::interruptPending() const noexcept
{
	return impl_->events[0].asserted() || impl_->events[1].asserted() || impl_->errors.status();
}

/*
 * QM-MB-6. A thread that makes requests holds one of these mutexes, and has looked at mayMaster()
 * since it took it. A queue that becomes active later looks then.
 */
void QueueManager::hostChanged()
{
	if (!impl_->host.mayMaster()) {
		std::lock_guard lock(impl_->mailboxMutex);

		for (unsigned i = 0; i < impl_->config.queues; i++)
			if (impl_->queues[i].active())
				impl_->queues[i].drain();
		return;
	}
	for (unsigned i = 0; i < impl_->config.queues; i++)
		if (impl_->queues[i].active())
			impl_->queues[i].kick();
}

} // namespace wd::machine
