// SPDX-License-Identifier: Apache-2.0
#include "test_device.h"

#include <hosted/test_hooks.h>
#include <linux/anon_inodes.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

namespace test
{

std::atomic<int> opens, releases, closedMappings;
std::atomic<bool> releasedWithMm;

namespace
{

struct Context {
	page **pages;
	unsigned long pinned;
	wait_queue_head_t wq;
	std::atomic<bool> ready;
};

unsigned long sharedPage;

Context *contextOf(file *filp)
{
	return static_cast<Context *>(filp->private_data);
}

int open(inode *, file *filp)
{
	auto *context = static_cast<Context *>(kzalloc(sizeof(Context), GFP_KERNEL));
	if (!context)
		return -ENOMEM;
	init_waitqueue_head(&context->wq);
	filp->private_data = context;
	opens++;
	return 0;
}

void unpin(Context *context)
{
	unpin_user_pages(context->pages, context->pinned);
	kvfree(context->pages);
	context->pages = nullptr;
	context->pinned = 0;
}

int release(inode *, file *filp)
{
	Context *context = contextOf(filp);
	releasedWithMm = get_current()->mm != nullptr;
	unpin(context);
	kfree(context);
	releases++;
	return 0;
}

long copy(unsigned long arg)
{
	Copy request;
	auto *user = reinterpret_cast<Copy *>(arg);
	if (copy_from_user(&request, user, sizeof(request)))
		return -EFAULT;
	if (request.buffer) {
		char fill[4096];
		memset(fill, 0x5a, sizeof(fill));
		if (copy_to_user(u64_to_user_ptr(request.buffer), fill, sizeof(fill)))
			return -EFAULT;
	}
	request.value++;
	return copy_to_user(&user->value, &request.value, sizeof(request.value)) ? -EFAULT : 0;
}

long pin(Context *context, unsigned long arg)
{
	Pin request;
	if (copy_from_user(&request, reinterpret_cast<void *>(arg), sizeof(request)))
		return -EFAULT;
	if (context->pages)
		return -EBUSY;
	context->pages =
		// NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers
		static_cast<page **>(kvcalloc(request.pages, sizeof(*context->pages), GFP_KERNEL));
	if (!context->pages)
		return -ENOMEM;
	int count = pin_user_pages_fast(request.address, static_cast<int>(request.pages),
					(request.write ? FOLL_WRITE : 0) | FOLL_LONGTERM,
					context->pages);
	if (count > 0) {
		context->pinned = static_cast<unsigned long>(count);
		request.firstPhys = page_to_phys(context->pages[0]);
		if (copy_to_user(reinterpret_cast<void *>(arg), &request, sizeof(request)))
			return -EFAULT;
	} else {
		unpin(context);
	}
	return count;
}

long allocate()
{
	xarray xa;
	long ret = 0;
	xa_init_flags(&xa, XA_FLAGS_ALLOC);
	unsigned long index;
	void *entry;
	for (u32 i = 0; i < 3 && !ret; i++) {
		u32 id;
		void *p = kzalloc(32, GFP_KERNEL);
		ret = p ? xa_alloc(&xa, &id, p, XA_LIMIT(i * 5000, UINT_MAX), GFP_KERNEL) : -ENOMEM;
		if (ret)
			kfree(p);
	}
	unsigned long table = ret ? 0 : get_zeroed_page(GFP_KERNEL);
	if (!ret && !table)
		ret = -ENOMEM;
	free_page(table);
	xa_for_each (&xa, index, entry)
		kfree(entry);
	xa_destroy(&xa);
	return ret;
}

long signalCounter(int fd)
{
	eventfd_ctx *ctx = eventfd_ctx_fdget(fd);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	eventfd_signal(ctx, 1);
	eventfd_ctx_put(ctx);
	return 0;
}

long readString(unsigned long arg)
{
	auto *text = reinterpret_cast<char *>(arg);
	for (long length = 0; length < 16; length++) {
		char letter;
		if (get_user(letter, text + length))
			return -EFAULT;
		if (!letter)
			return length;
	}
	return -EINVAL;
}

long readStruct(unsigned long arg)
{
	u64 known[2], size;
	if (get_user(size, reinterpret_cast<u64 *>(arg)))
		return -EFAULT;
	int ret = copy_struct_from_user(known, sizeof(known), reinterpret_cast<void *>(arg), size);
	return ret ? ret : static_cast<long>(known[1]);
}

__poll_t poll(file *filp, poll_table *pt)
{
	Context *context = contextOf(filp);
	poll_wait(filp, &context->wq, pt);
	return context->ready ? EPOLLIN | EPOLLRDNORM : 0;
}

/* Touches user memory once, which may wait for ever. */
long touchOnce(const Touch &touch)
{
	char byte;
	page *page;

	if (!touch.pin)
		return copy_from_user(&byte, reinterpret_cast<void *>(touch.address), 1) ? -EFAULT
											 : 0;
	long pinned = get_current()->mm->mmap_lock.active
			      ? pin_user_pages_remote(get_current()->mm, touch.address, 1,
						      FOLL_LONGTERM, &page, nullptr, nullptr)
			      : pin_user_pages_fast(touch.address, 1, FOLL_LONGTERM, &page);
	if (pinned == 1)
		unpin_user_pages(&page, 1);
	return pinned == 1 ? 0 : -EFAULT;
}

long touchLocked(unsigned long arg)
{
	mm_struct *mm = get_current()->mm;
	struct mutex mutex;
	rw_semaphore sem;
	Touch touch;
	long ret = 0;

	if (copy_from_user(&touch, reinterpret_cast<void *>(arg), sizeof(touch)))
		return -EFAULT;
	mutex_init(&mutex);
	init_rwsem(&sem);
	switch (touch.lock) {
	case Lock::None:
		return touchOnce(touch);
	case Lock::Private:
		wd_mutex_set_name(&mutex, WD_LOCK_PRIVATE "a test's");
		[[fallthrough]];
	case Lock::Mutex:
		mutex_lock(&mutex);
		ret = touchOnce(touch);
		mutex_unlock(&mutex);
		break;
	case Lock::Reader:
		down_read(&sem);
		ret = touchOnce(touch);
		up_read(&sem);
		break;
	case Lock::Writer:
		down_write(&sem);
		ret = touchOnce(touch);
		up_write(&sem);
		break;
	case Lock::MmapLock:
		mmap_read_lock(mm);
		ret = touchOnce(touch);
		mmap_read_unlock(mm);
		break;
	}
	/* All locks are released, so one more touch must be right. */
	touch.lock = Lock::None;
	return ret ? ret : touchOnce(touch);
}

long ioctl(file *filp, unsigned cmd, unsigned long arg);

int mmap(file *, vm_area_struct *vma)
{
	static const vm_operations_struct ops = [] {
		vm_operations_struct o{};
		o.close = [](vm_area_struct *) { closedMappings++; };
		o.fault = [](vm_fault *fault) {
			return vmf_insert_pfn(fault->vma, fault->address,
					      PHYS_PFN(page_to_phys(virt_to_page(
						      reinterpret_cast<void *>(sharedPage)))));
		};
		return o;
	}();
	if (vma->vm_pgoff)
		return -EINVAL;
	vma->vm_ops = &ops;
	vma->vm_flags |= VM_PFNMAP;
	return 0;
}

ssize_t read(file *, char *buf, size_t count, loff_t *pos)
{
	return simple_read_from_buffer(buf, count, pos, "hello", 5);
}

/* Accepts the text and ignores it. */
ssize_t write(file *, const char *, size_t count, loff_t *pos)
{
	if (*pos >= 5)
		return -ENOSPC;
	*pos += static_cast<loff_t>(count);
	return static_cast<ssize_t>(count);
}

const file_operations fops = [] {
	file_operations f{};
	f.open = open;
	f.release = release;
	f.unlocked_ioctl = ioctl;
	f.poll = poll;
	f.mmap = mmap;
	f.read = read;
	f.write = write;
	return f;
}();

miscdevice device = [] {
	miscdevice d{};
	d.minor = MISC_DYNAMIC_MINOR;
	d.name = "hktest";
	d.fops = &fops;
	return d;
}();

long ioctl(file *filp, unsigned cmd, unsigned long arg)
{
	Context *context = contextOf(filp);
	switch (cmd) {
	case kCopy:
		return copy(arg);
	case kPin:
		return pin(context, arg);
	case kUnpin:
		unpin(context);
		return 0;
	case kAllocate:
		return allocate();
	case kReady:
		context->ready = true;
		wake_up_interruptible(&context->wq);
		return 0;
	case kAnonFd: {
		auto *inner = static_cast<Context *>(kzalloc(sizeof(Context), GFP_KERNEL));
		if (!inner)
			return -ENOMEM;
		init_waitqueue_head(&inner->wq);
		int fd = get_unused_fd_flags(O_RDWR);
		::file *anonymous =
			fd < 0 ? nullptr : anon_inode_getfile("hktest", &fops, inner, O_RDWR);
		if (!anonymous || IS_ERR(anonymous)) {
			if (fd >= 0)
				put_unused_fd(fd);
			kfree(inner);
			return fd < 0 ? fd : PTR_ERR(anonymous);
		}
		fd_install(fd, anonymous);
		return fd;
	}
	case kRevoke:
		unmap_mapping_range(filp->f_mapping, 0, 0, 1);
		return 0;
	case kTouch:
		return touchLocked(arg);
	case kUid:
		return current_uid().val;
	case kCapable:
		return capable(static_cast<int>(arg));
	case kGrabMm:
		mmgrab(get_current()->mm);
		*reinterpret_cast<mm_struct **>(arg) = get_current()->mm;
		return 0;
	case kString:
		return readString(arg);
	case kSignal:
		return signalCounter(static_cast<int>(arg));
	case kStruct:
		return readStruct(arg);
	}
	return -ENOIOCTLCMD;
}

} // namespace

std::atomic<uint64_t> &sharedWord()
{
	return *reinterpret_cast<std::atomic<uint64_t> *>(sharedPage);
}

int registerDevice()
{
	opens = releases = closedMappings = 0;
	sharedPage = get_zeroed_page(GFP_KERNEL);
	return misc_register(&device);
}

void unregisterDevice()
{
	misc_deregister(&device);
	free_page(sharedPage);
}

} // namespace test
