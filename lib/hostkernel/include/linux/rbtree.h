/* SPDX-License-Identifier: GPL-2.0-only */
/* Ordered trees. Random priorities balance them (treaps), so a node needs no colour. */
#ifndef _LINUX_RBTREE_H
#define _LINUX_RBTREE_H

#include <linux/container_of.h>
#include <linux/types.h>

struct rb_node {
	struct rb_node *rb_parent;
	struct rb_node *rb_right;
	struct rb_node *rb_left;
	u64 wd_priority;
};

struct rb_root {
	struct rb_node *rb_node;
};

struct rb_root_cached {
	struct rb_root rb_root;
	struct rb_node *rb_leftmost;
};

#ifndef __cplusplus
/* clang-format off */
#define RB_ROOT_CACHED (struct rb_root_cached) { { NULL, }, NULL }
/* clang-format on */
#else
#define RB_ROOT_CACHED (rb_root_cached{})
#endif
#define RB_EMPTY_ROOT(root) (READ_ONCE((root)->rb_node) == NULL)
#define rb_entry(ptr, type, member) container_of(ptr, type, member)
#define rb_parent(node) ((node)->rb_parent)

static inline void rb_link_node(struct rb_node *node, struct rb_node *parent, struct rb_node **link)
{
	node->rb_parent = parent;
	node->rb_left = NULL;
	node->rb_right = NULL;
	*link = node;
}

WD_BEGIN_DECLS
struct rb_node *rb_next(const struct rb_node *node);
WD_END_DECLS

#endif /* _LINUX_RBTREE_H */
