/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_FS_H_HOSTED
#define _LINUX_FS_H_HOSTED

#include <fcntl.h>
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/ioctl.h>
#include <linux/kdev_t.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/stat.h>
#include <linux/types.h>
#include <linux/uidgid.h>

#define FMODE_READ 0x1u
#define FMODE_WRITE 0x2u
#define FMODE_LSEEK 0x4u
#define FMODE_PREAD 0x8u
#define FMODE_PWRITE 0x10u
#define FMODE_ATOMIC_POS 0x8000u
#define FMODE_STREAM 0x200000u

struct address_space;
struct cdev;
struct cred;
struct inode;
struct module;
struct poll_table_struct;
struct vm_area_struct;
struct file;
typedef void *fl_owner_t;

struct file_operations {
	struct module *owner;
	loff_t (*llseek)(struct file *filp, loff_t offset, int whence);
	ssize_t (*read)(struct file *filp, char __user *buf, size_t count, loff_t *pos);
	ssize_t (*write)(struct file *filp, const char __user *buf, size_t count, loff_t *pos);
	__poll_t (*poll)(struct file *filp, struct poll_table_struct *wait);
	long (*unlocked_ioctl)(struct file *filp, unsigned int cmd, unsigned long arg);
	long (*compat_ioctl)(struct file *filp, unsigned int cmd, unsigned long arg);
	int (*mmap)(struct file *filp, struct vm_area_struct *vma);
	unsigned long mmap_supported_flags;
	int (*open)(struct inode *inode, struct file *filp);
	int (*flush)(struct file *filp, fl_owner_t id);
	int (*release)(struct inode *inode, struct file *filp);
	int (*fsync)(struct file *filp, loff_t start, loff_t end, int datasync);
	int (*fasync)(int fd, struct file *filp, int on);
};

struct address_space_operations;

/* The mappings of one inode. unmap_mapping_range() revokes them. */
struct address_space {
	struct inode *host;
	const struct address_space_operations *a_ops; /* of file systems, which no code here has */
	struct mutex i_mmap_lock;
	struct list_head i_mmap;
};

/* A file system; for files of the host, the host's. */
struct super_block {
	unsigned long s_magic;
};

struct inode {
	umode_t i_mode;
	kuid_t i_uid;
	kgid_t i_gid;
	dev_t i_rdev;
	unsigned long i_ino;
	struct address_space *i_mapping;
	struct address_space i_data;
	const struct file_operations *i_fop;
	struct cdev *i_cdev;
	struct super_block *i_sb;
	unsigned char i_blkbits;
	void *i_private;
	atomic_t i_count;
};

struct file {
	struct inode *f_inode;
	const struct file_operations *f_op;
	unsigned int f_flags;
	fmode_t f_mode;
	atomic_long_t f_count;
	loff_t f_pos;
	struct mutex f_pos_lock;
	const struct cred *f_cred;
	void *private_data;
	struct address_space *f_mapping;
	void *wd_private;     /* for the count of open files: the opener */
	struct file *wd_next; /* in a list of files that wait for their release */
};

static inline void address_space_init_once(struct address_space *mapping)
{
	mutex_init(&mapping->i_mmap_lock);
	INIT_LIST_HEAD(&mapping->i_mmap);
}

static inline struct inode *file_inode(const struct file *filp)
{
	return filp->f_inode;
}

WD_BEGIN_DECLS
loff_t i_size_read(const struct inode *inode);
struct file *fget(unsigned int fd);
void fput(struct file *filp);
int alloc_chrdev_region(dev_t *dev, unsigned int baseminor, unsigned int count, const char *name);
void unregister_chrdev_region(dev_t from, unsigned int count);
int nonseekable_open(struct inode *inode, struct file *filp);
long compat_ptr_ioctl(struct file *filp, unsigned int cmd, unsigned long arg);
/* Copy between a kernel buffer of @available bytes and user memory at *@pos. */
ssize_t simple_read_from_buffer(void __user *to, size_t count, loff_t *pos, const void *from,
				size_t available);
WD_END_DECLS

static inline struct file *get_file(struct file *filp)
{
	atomic_long_inc(&filp->f_count);
	return filp;
}

#endif /* _LINUX_FS_H_HOSTED */
