// SPDX-License-Identifier: Apache-2.0
/*
 * Interrupts of a whole function that the program owns through wd_vfio: INTx with its masks, on a
 * machine whose accelerators have a pin (with_pin.json), and MSI-X messages that come later, on any
 * machine. WD_NEED_PIN=1: a missing pin is a failure.
 */
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/vfio_cdev.h>

#include "owner_set_up.h"

#define ARENA_IOVA 0x10000000ull
#define SIZE (64ul << 10)
#define AT_IN ZIP_MEMORY
#define AT_OUT (AT_IN + SIZE)
#define ARENA_SIZE (AT_OUT + SIZE)
#define TIMEOUT_MS 20000
/* Errors of the queue manager: source, mask, and software's way to make one. Mask of its events. */
#define ERROR_SOURCE 0x100000
#define ERROR_MASK 0x100004
#define ERROR_SET 0x10000c
#define EVENT_MASK 0xc
#define COMMAND 0x04
#define STATUS 0x06
#define COMMAND_ON 0x6
#define COMMAND_DISABLE 0x400
#define STATUS_PENDING 0x8

static struct device device;
static struct owner owner = {.fd = -1};
static struct space space;
static struct zip_registers registers;
static struct zip zip;
static uint8_t *arena;
static bool has_pin;
static int event;

static int set_irqs(unsigned index, unsigned start, unsigned flags, unsigned count, int32_t data)
{
	uint32_t words[6] = {sizeof(words), flags, index, start, count, (uint32_t)data};

	return owner_ioctl(&owner, VFIO_DEVICE_SET_IRQS, words);
}

static int pin(unsigned flags, int32_t data)
{
	return set_irqs(VFIO_PCI_INTX_IRQ_INDEX, 0, flags, 1, data);
}

static int pin_to(int fd)
{
	return pin(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, fd);
}

static int pin_off(void)
{
	return set_irqs(VFIO_PCI_INTX_IRQ_INDEX, 0,
			VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0);
}

static int unmask(void)
{
	return pin(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 0);
}

static int unmask_by(int fd)
{
	return pin(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK, fd);
}

static uint32_t config(unsigned at, unsigned size)
{
	uint32_t value = 0;

	owner_read(&owner, VFIO_PCI_CONFIG_REGION_INDEX, at, &value, size);
	return value;
}

static void set_command(uint16_t command)
{
	owner_write(&owner, VFIO_PCI_CONFIG_REGION_INDEX, COMMAND, &command, 2);
}

static void set_register(uint32_t at, uint32_t value)
{
	registers.write(registers.context, at, value, 4);
}

static void cause(void)
{
	set_register(ERROR_MASK, 0);
	set_register(ERROR_SET, 1);
}

static void serve(void)
{
	set_register(ERROR_SOURCE, 1);
}

/* Wait for signals of @fd. 0 if none comes. */
static uint64_t signals(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	uint64_t count = 0;

	if (poll(&wait, 1, TIMEOUT_MS) != 1 || read(fd, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}

static bool no_signal(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	return poll(&wait, 1, 0) == 0;
}

/* Start with a function after a reset, whose interrupt is enabled. */
static bool ready(void)
{
	if (!has_pin) {
		ktap_skip_case("the function has no pin");
		return false;
	}
	pin_off(); /* what a case before has left */
	return EXPECT(owner_ioctl(&owner, VFIO_DEVICE_RESET, NULL) == 0, "RESET") &&
	       EXPECT(pin_to(event) == 0, "SET_IRQS") && EXPECT(no_signal(event), "a signal");
}

static void information(void)
{
	struct vfio_irq_info info = {.argsz = sizeof(info), .index = VFIO_PCI_INTX_IRQ_INDEX};

	EXPECT(owner_ioctl(&owner, VFIO_DEVICE_GET_IRQ_INFO, &info) == 0, "GET_IRQ_INFO");
	EXPECT(info.count == has_pin, "%u interrupts", info.count);
	EXPECT(info.flags ==
		       (VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED),
	       "flags %#x", info.flags);
	if (!has_pin)
		EXPECT(pin_to(event) == -EINVAL, "an interrupt without a pin");
	info.index = VFIO_PCI_MSIX_IRQ_INDEX;
	EXPECT(owner_ioctl(&owner, VFIO_DEVICE_GET_IRQ_INFO, &info) == 0, "GET_IRQ_INFO");
	EXPECT(info.flags == VFIO_IRQ_INFO_EVENTFD, "flags of MSI-X %#x", info.flags);
	EXPECT(!getenv("WD_NEED_PIN") || has_pin, "the function has no pin");
}

static void masked_by_itself(void)
{
	if (!ready())
		return;
	cause();
	EXPECT(signals(event) == 1, "one signal");
	EXPECT(config(STATUS, 2) & STATUS_PENDING, "Interrupt Status");
	EXPECT(!(config(COMMAND, 2) & COMMAND_DISABLE), "Interrupt Disable of the kernel is shown");
	EXPECT(unmask() == 0, "UNMASK");
	EXPECT(signals(event) == 1, "it still wants an interrupt");
	serve();
	EXPECT(!(config(STATUS, 2) & STATUS_PENDING), "Interrupt Status");
	EXPECT(unmask() == 0, "UNMASK");
	EXPECT(no_signal(event), "a signal without a cause");
	cause();
	EXPECT(signals(event) == 1, "the next one");
	serve();
}

static void masked_by_the_owner(void)
{
	if (!ready())
		return;
	EXPECT(pin(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, 0) == 0, "MASK");
	cause();
	EXPECT(config(STATUS, 2) & STATUS_PENDING, "Interrupt Status");
	EXPECT(no_signal(event), "masked");
	EXPECT(pin(VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_UNMASK, 1) == 0, "UNMASK");
	EXPECT(signals(event) == 1, "it waited");
	serve();
	EXPECT(pin(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_MASK, event) == -ENOTTY,
	       "MASK by an eventfd");
}

static void unmasked_by_an_eventfd(void)
{
	const int end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	const int other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (!ready())
		goto out;
	EXPECT(unmask_by(end) == 0, "UNMASK by an eventfd");
	EXPECT(unmask_by(other) == -EBUSY, "a second one");
	cause();
	for (unsigned i = 0; i < 3; i++) {
		EXPECT(signals(event) == 1, "signal %u", i);
		eventfd_write(end, 1);
	}
	EXPECT(signals(event) == 1, "the last signal");
	EXPECT(no_signal(end), "the kernel has not taken the value");
	EXPECT(unmask_by(-1) == 0, "no longer");
	EXPECT(unmask_by(other) == 0, "another");
	eventfd_write(other, 1);
	EXPECT(signals(event) == 1, "another works");
	serve();
	EXPECT(unmask() == 0, "UNMASK");
	cause();
	EXPECT(signals(event) == 1, "the next one");
	serve();
out:
	close(end);
	close(other);
}

/* The program closes its eventfd, which the kernel learns in a real kernel only. */
static void closed_eventfd(void)
{
	const int end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (strcmp(wd_host_kind(owner.host), "native")) {
		close(end);
		ktap_skip_case("the hosted kernel does not see it");
		return;
	}
	if (ready()) {
		EXPECT(unmask_by(end) == 0, "UNMASK by an eventfd");
		EXPECT(unmask_by(event) == -EBUSY, "a second one");
	}
	close(end);
	if (has_pin)
		EXPECT(unmask_by(event) == 0, "after the first is closed");
}

static void interrupt_disable(void)
{
	if (!ready())
		return;
	set_command(COMMAND_ON | COMMAND_DISABLE);
	cause();
	EXPECT(unmask() == 0, "UNMASK changes nothing");
	EXPECT(config(STATUS, 2) & STATUS_PENDING, "Interrupt Status");
	EXPECT(no_signal(event), "disabled");
	set_command(COMMAND_ON);
	EXPECT(signals(event) == 1, "enabled");
	set_command(COMMAND_ON & ~4);
	set_command(COMMAND_ON);
	EXPECT(no_signal(event), "bus mastering unmasks");
	serve();
	EXPECT(unmask() == 0, "UNMASK");
	EXPECT(no_signal(event), "a signal without a cause");
}

/* A driver in user space that uses the pin: a request, and the event of its completion. */
static void a_request(void)
{
	if (!ready())
		return;
	set_command(COMMAND_ON);
	if (!EXPECT(zip_start(&zip, &registers, arena, ARENA_IOVA) == 0, "start") ||
	    !EXPECT(zip_queue(&zip, ZIP_COMPRESS) == 0, "queue"))
		return;
	EXPECT(no_signal(event), "an event before there is a reason");
	EXPECT(zip_run(&zip, ARENA_IOVA + AT_IN, SIZE, ARENA_IOVA + AT_OUT, SIZE) > 0, "request");
	EXPECT(signals(event) == 1, "no event");
	set_register(EVENT_MASK, 1);
	EXPECT(unmask() == 0, "UNMASK");
	EXPECT(no_signal(event), "the device's own mask");
}

static void one_kind(void)
{
	if (!ready())
		return;
	EXPECT(owner_message_to(&owner, event) == -EINVAL, "MSI-X beside INTx");
	EXPECT(pin_off() == 0, "off");
	EXPECT(pin_off() == -EINVAL, "off twice");
	EXPECT(owner_message_to(&owner, event) == 0, "MSI-X");
	EXPECT(pin_to(event) == -EINVAL, "INTx beside MSI-X");
	set_register(ERROR_MASK, 0);
	EXPECT(owner_message_to(&owner, -1) == 0, "MSI-X off");
}

static void messages_later(void)
{
	const unsigned give = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	const int later = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	pin_off();
	EXPECT(owner_ioctl(&owner, VFIO_DEVICE_RESET, NULL) == 0, "RESET");
	/* A message is a write of the function. */
	set_command(COMMAND_ON);
	EXPECT(set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, 0, give, 1, -1) == 0, "enabled without a message");
	EXPECT(set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, 3, give, 1, later) == 0, "message 3");
	cause();
	EXPECT(signals(later) == 1, "an error is message 3");
	EXPECT(set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, 0, give, 1, event) == 0, "message 0");
	set_register(ERROR_SET, 2);
	EXPECT(signals(later) == 1, "message 3 goes on");
	EXPECT(no_signal(event), "message 0");
	EXPECT(owner_message_to(&owner, -1) == 0, "off");
	close(later);
}

static void given_back(void)
{
	if (has_pin) {
		if (!ready())
			return;
		cause();
		EXPECT(signals(event) == 1, "masked");
	}
	EXPECT(owner_give(owner.host, owner.address, "hisi_zip") == 0, "back to hisi_zip");
	EXPECT(pin_off() == -ENODEV, "the ownership has ended");
}

static const struct ktap_case cases[] = {
	{"GET_IRQ_INFO", information},
	{"INTx masks itself", masked_by_itself},
	{"INTx masked by its owner", masked_by_the_owner},
	{"INTx unmasked by an eventfd", unmasked_by_an_eventfd},
	{"INTx and an eventfd that is closed", closed_eventfd},
	{"INTx and Interrupt Disable", interrupt_disable},
	{"INTx of a request", a_request},
	{"one of INTx and MSI-X", one_kind},
	{"MSI-X messages that come later", messages_later},
	{"given back while INTx is masked", given_back},
};

static int bind_function(void)
{
	int ret = owner_open(&owner);

	if (!ret)
		ret = owner_bind(&owner, space.fd);
	if (!ret)
		ret = owner_attach(&owner, space.ioas);
	if (!ret)
		has_pin = config(0x3d, 1);
	return ret;
}

static int take(void)
{
	int ret = owner_take(&device, &owner);

	if (ret)
		return ret;
	arena = pages_alloc(ARENA_SIZE);
	registers = owner_registers(&owner);
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = space_open(&device, &space);
	if (!ret)
		ret = space_map(&space, arena, ARENA_SIZE, ARENA_IOVA);
	return ret ? ret : bind_function();
}

static int set_up(void)
{
	int ret;

	ret = owner_open_device(&device);
	if (ret)
		return ret;
	return take();
}

static void tear_down(void)
{
	owner_close(&owner);
	space_close(&space);
	close(event);
	pages_free(arena, ARENA_SIZE);
	device_close(&device);
}

int main(void)
{
	KTAP_MAIN(cases, set_up(), tear_down());
}
