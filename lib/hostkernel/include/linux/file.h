/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_FILE_H
#define _LINUX_FILE_H

#include <linux/fs.h>

struct fd {
	struct file *file;
	unsigned int flags;
};

WD_BEGIN_DECLS
/*
 * A file of the caller's real process, which is where its eventfds are. fget() finds the files that
 * it has opened in the hosted kernel. The file is NULL if @fd is not open.
 */
struct fd fdget(unsigned int fd);
int get_unused_fd_flags(unsigned int flags);
void put_unused_fd(unsigned int fd);
void fd_install(unsigned int fd, struct file *filp);
WD_END_DECLS

static inline void fdput(struct fd fd)
{
	if (fd.file)
		fput(fd.file);
}

#endif /* _LINUX_FILE_H */
