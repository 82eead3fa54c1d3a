// SPDX-License-Identifier: GPL-2.0-only
/*
 * Backings and their segments: which pages are pinned and how many areas need them.
 *
 * To pin a range, this goes from its first page to its last. It splits existing segments at the
 * ends of the range and counts them up; it pins missing pages as new segments. So each segment lies
 * wholly inside or wholly outside of every pinned range. To unpin a range, this counts down whole
 * segments, which needs no memory.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "io_pagetable.h"

/**
 * iopt_pages_alloc() - make a backing for memory of the calling process, without pinning it
 * @account: an account of the calling process. Takes a reference
 * @mode: what to charge there when it is pinned
 * @uptr: first byte
 * @writable: devices may be allowed to write it
 *
 * Return: the backing with one reference, or ERR_PTR(-ENOMEM)
 */
struct iopt_pages *iopt_pages_alloc(struct iopt_account *account, enum iopt_account_mode mode,
				    unsigned long uptr, bool writable)
{
	struct iopt_pages *pages = kzalloc(sizeof(*pages), GFP_KERNEL_ACCOUNT);

	if (!pages)
		return ERR_PTR(-ENOMEM);
	iopt_pages_init(pages, account, mode, uptr, writable);
	return pages;
}

/**
 * iopt_pages_alloc_file() - make a backing for memory of a file, without pinning it
 * @account: the account to charge when it is pinned. Takes a reference
 * @mode: what to charge there
 * @file: the file. Takes a reference
 * @start: first byte in the file
 * @writable: devices may be allowed to write it
 *
 * Return: the backing with one reference, or ERR_PTR(-ENOMEM)
 */
struct iopt_pages *iopt_pages_alloc_file(struct iopt_account *account, enum iopt_account_mode mode,
					 struct file *file, unsigned long start, bool writable)
{
	struct iopt_file_pages *file_pages = kzalloc(sizeof(*file_pages), GFP_KERNEL_ACCOUNT);

	if (!file_pages)
		return ERR_PTR(-ENOMEM);
	iopt_pages_init(&file_pages->pages, account, mode, start, writable);
	file_pages->pages.from_file = true;
	file_pages->file = get_file(file);
	INIT_LIST_HEAD(&file_pages->change_item);
	return &file_pages->pages;
}

static void iopt_pages_release(struct kref *ref)
{
	struct iopt_pages *pages = container_of(ref, struct iopt_pages, ref);

	/* Until then its driver may revoke it, which takes the mutex. */
	if (pages->from_dmabuf)
		iopt_dmabuf_detach(pages);
	WARN_ON(!RB_EMPTY_ROOT(&pages->segs.rb_root));
	iopt_account_put(pages->account);
	mutex_destroy(&pages->mutex);
	if (pages->from_file) {
		struct iopt_file_pages *file_pages = iopt_file_pages_of(pages);

		fput(file_pages->file);
		kfree(file_pages);
	} else if (pages->from_dmabuf) {
		iopt_pages_free_dmabuf(pages);
	} else {
		kfree(pages);
	}
}

/* Give a reference back. If it may be the last the caller holds no lock of an IOAS or a backing. */
void iopt_pages_put(struct iopt_pages *pages)
{
	kref_put(&pages->ref, iopt_pages_release);
}

static struct iopt_seg *iopt_seg_find(struct iopt_pages *pages, unsigned long first,
				      unsigned long last)
{
	struct interval_tree_node *node = interval_tree_iter_first(&pages->segs, first, last);

	return node ? container_of(node, struct iopt_seg, node) : NULL;
}

static struct iopt_seg *iopt_seg_alloc(struct iopt_pages *pages, struct iopt_account *account,
				       unsigned long first, unsigned long last)
{
	struct iopt_seg *seg = &pages->first_seg;

	if (pages->first_seg_used) {
		seg = kmalloc(sizeof(*seg), GFP_KERNEL_ACCOUNT);
		if (!seg)
			return NULL;
	} else {
		pages->first_seg_used = true;
	}
	seg->node.start = first;
	seg->node.last = last;
	seg->users = 0;
	seg->account = iopt_account_get(account);
	seg->nr_runs = 0;
	seg->runs = &seg->inline_run;
	return seg;
}

static void iopt_seg_free(struct iopt_pages *pages, struct iopt_seg *seg)
{
	if (seg->runs != &seg->inline_run)
		kvfree(seg->runs);
	iopt_account_put(seg->account);
	if (seg == &pages->first_seg)
		pages->first_seg_used = false;
	else
		kfree(seg);
}

/* Return: the number of the run of @seg that has the page @index; @run_index: where it begins. */
static unsigned int iopt_seg_run_at(const struct iopt_seg *seg, unsigned long index,
				    unsigned long *run_index)
{
	unsigned long at = seg->node.start;
	unsigned int i = 0;

	while (index - at >= seg->runs[i].npages)
		at += seg->runs[i++].npages;
	*run_index = at;
	return i;
}

/**
 * iopt_pages_split() - let a page be the first of its segment
 * @pages: backing, mutex held
 * @index: the page. If it is not pinned there is nothing to do
 *
 * Return: 0; -ENOMEM, with nothing changed
 */
int iopt_pages_split(struct iopt_pages *pages, unsigned long index)
{
	struct iopt_seg *seg = iopt_seg_find(pages, index, index), *tail;
	unsigned int run, nr_tail;
	unsigned long run_index, head_pages;

	if (!seg || seg->node.start == index)
		return 0;
	tail = iopt_seg_alloc(pages, seg->account, index, seg->node.last);
	if (!tail)
		return -ENOMEM;
	run = iopt_seg_run_at(seg, index, &run_index);
	nr_tail = seg->nr_runs - run;
	if (nr_tail > 1) {
		tail->runs = kvmalloc_array(nr_tail, sizeof(*tail->runs), GFP_KERNEL_ACCOUNT);
		if (!tail->runs) {
			tail->runs = &tail->inline_run;
			iopt_seg_free(pages, tail);
			return -ENOMEM;
		}
	}
	memcpy(tail->runs, &seg->runs[run], nr_tail * sizeof(*tail->runs));
	tail->nr_runs = nr_tail;
	tail->users = seg->users;

	/* Divide the run that has the page. If it begins there, all of it goes to the tail. */
	head_pages = index - run_index;
	tail->runs[0].pfn += head_pages;
	tail->runs[0].npages -= head_pages;
	seg->runs[run].npages = head_pages;
	seg->nr_runs = run + (head_pages ? 1 : 0);

	interval_tree_remove(&seg->node, &pages->segs);
	seg->node.last = index - 1;
	interval_tree_insert(&seg->node, &pages->segs);
	interval_tree_insert(&tail->node, &pages->segs);
	return 0;
}

static bool iopt_seg_missing(struct iopt_pages *pages, unsigned long first, unsigned long last)
{
	return !iopt_seg_find(pages, first, last);
}

/*
 * Pin pages that are not pinned yet. This drops the mutex meanwhile, since a page may never arrive.
 * Return: -EAGAIN if another thread has pinned some of the pages by then; nothing is pinned here.
 */
static int iopt_seg_create(struct iopt_pages *pages, unsigned long first, unsigned long last)
{
	struct iopt_seg *seg = iopt_seg_alloc(pages, pages->account, first, last);
	int rc;

	if (!seg)
		return -ENOMEM;
	mutex_unlock(&pages->mutex);
	rc = iopt_seg_pin(pages, seg);
	mutex_lock(&pages->mutex);
	if (!rc && iopt_seg_missing(pages, first, last)) {
		seg->users = 1;
		interval_tree_insert(&seg->node, &pages->segs);
		return 0;
	}
	if (!rc) {
		iopt_seg_unpin(pages, seg);
		rc = -EAGAIN;
	}
	iopt_seg_free(pages, seg);
	return rc;
}

/*
 * Split the segment that has the page @index, so that it lies in [@index, @last], and count it up.
 * @next: the page after the segment. Return: -ENOENT if the page is not pinned; then @next is the
 * first page that is pinned, or the one after @last.
 */
static int iopt_seg_use(struct iopt_pages *pages, unsigned long index, unsigned long last,
			unsigned long *next)
{
	struct iopt_seg *seg = iopt_seg_find(pages, index, last);
	int rc;

	if (!seg || seg->node.start > index) {
		*next = seg ? seg->node.start : last + 1;
		return -ENOENT;
	}
	rc = iopt_pages_split(pages, index);
	if (!rc)
		rc = iopt_pages_split(pages, last + 1);
	if (rc)
		return rc;
	seg = iopt_seg_find(pages, index, index);
	seg->users++;
	*next = seg->node.last + 1;
	return 0;
}

/**
 * iopt_pages_pin_again() - count up the pins of a range that is pinned already
 * @pages: backing, mutex held
 * @first: index of the first page
 * @last: index of the last page
 *
 * This touches no memory of the process, so it never waits for a page.
 *
 * Return: 0; -EAGAIN a page is not pinned, -ENOMEM; after an error nothing has changed
 */
int iopt_pages_pin_again(struct iopt_pages *pages, unsigned long first, unsigned long last)
{
	unsigned long index = first, next;
	int rc = 0;

	lockdep_assert_held(&pages->mutex);

	while (!rc && index <= last) {
		rc = iopt_seg_use(pages, index, last, &next);
		if (!rc)
			index = next;
		cond_resched();
	}
	if (rc && index > first)
		iopt_pages_unpin(pages, first, index - 1);
	return rc == -ENOENT ? -EAGAIN : rc;
}

/**
 * iopt_pages_pin() - pin a range, or count its pins up
 * @pages: backing; its mutex is taken here, and not held while memory is touched
 * @first: index of the first page
 * @last: index of the last page
 *
 * The process can make this wait for ever, so the caller holds no lock that others need.
 *
 * Return: 0; -EFAULT no memory there, or no right to access it, -ENOMEM out of memory or over the
 * limit, -EINTR the caller is being killed, other errors of pinning; after an error nothing has
 * changed
 *
 * Rules: IOMMUFD-MAP-5, IOMMUFD-COPY-3, IOMMUFD-PIN-5.
 */
int iopt_pages_pin(struct iopt_pages *pages, unsigned long first, unsigned long last)
{
	unsigned long index = first, next;
	int rc = 0;

	mutex_lock(&pages->mutex);
	while (!rc && index <= last) {
		rc = iopt_seg_use(pages, index, last, &next);
		if (rc == -ENOENT)
			rc = iopt_seg_create(pages, index, next - 1);
		if (!rc)
			index = next;
		else if (rc == -EAGAIN)
			rc = 0;
		cond_resched();
	}
	if (rc && index > first)
		iopt_pages_unpin(pages, first, index - 1);
	mutex_unlock(&pages->mutex);
	return rc;
}

/**
 * iopt_pages_unpin() - undo iopt_pages_pin()
 * @pages: backing, mutex held
 * @first: as given there
 * @last: as given there
 */
void iopt_pages_unpin(struct iopt_pages *pages, unsigned long first, unsigned long last)
{
	struct iopt_seg *seg;

	lockdep_assert_held(&pages->mutex);

	while ((seg = iopt_seg_find(pages, first, last))) {
		bool end = seg->node.last >= last;

		WARN_ON(seg->node.start < first || seg->node.last > last);
		first = seg->node.last + 1;
		if (!--seg->users) {
			interval_tree_remove(&seg->node, &pages->segs);
			iopt_seg_unpin(pages, seg);
			iopt_seg_free(pages, seg);
		}
		if (end)
			break;
		cond_resched();
	}
}

/* Begin a walk over the pinned range [first, last]. Call iopt_run_next() to get the first run. */
void iopt_run_first(struct iopt_run_iter *iter, struct iopt_pages *pages, unsigned long first,
		    unsigned long last)
{
	lockdep_assert_held(&pages->mutex);

	*iter = (struct iopt_run_iter){.pages = pages, .index = first, .last = last};
	iter->seg = iopt_seg_find(pages, first, first);
	if (!WARN_ON(!iter->seg))
		iter->run = iopt_seg_run_at(iter->seg, first, &iter->run_index);
}

/* Step to the next run, also into the next segment. Return: false if there is none. */
static bool iopt_run_step(struct iopt_run_iter *iter)
{
	iter->run_index += iter->seg->runs[iter->run].npages;
	if (++iter->run < iter->seg->nr_runs)
		return true;
	iter->seg = iopt_seg_find(iter->pages, iter->run_index, iter->run_index);
	iter->run = 0;
	return iter->seg;
}

/*
 * Go to the next run, joined with contiguous runs after it. Return: false at the end of the range.
 */
bool iopt_run_next(struct iopt_run_iter *iter)
{
	unsigned long skip, end;

	iter->index += iter->npages;
	iter->npages = 0;
	if (!iter->seg || iter->index > iter->last)
		return false;

	skip = iter->index - iter->run_index;
	iter->pfn = iter->seg->runs[iter->run].pfn + skip;
	do {
		const struct iopt_run *run = &iter->seg->runs[iter->run];

		if (iter->npages && run->pfn != iter->pfn + iter->npages)
			break;
		end = iter->run_index + run->npages;
		iter->npages = min(end, iter->last + 1) - iter->index;
	} while (end <= iter->last && iopt_run_step(iter));
	return true;
}
