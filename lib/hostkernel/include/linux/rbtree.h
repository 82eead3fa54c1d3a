/* SPDX-License-Identifier: GPL-2.0-only */
/* Ordered trees. Balanced as treaps (random priorities), which needs no colour in the node. */
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
#define RB_ROOT (struct rb_root) { NULL, }
#define RB_ROOT_CACHED (struct rb_root_cached) { { NULL, }, NULL }
/* clang-format on */
#else
#define RB_ROOT (rb_root{})
#define RB_ROOT_CACHED (rb_root_cached{})
#endif
#define RB_EMPTY_ROOT(root) (READ_ONCE((root)->rb_node) == NULL)
#define RB_EMPTY_NODE(node) ((node)->rb_parent == (node))
#define RB_CLEAR_NODE(node) ((node)->rb_parent = (node))
#define rb_entry(ptr, type, member) container_of(ptr, type, member)
#define rb_entry_safe(ptr, type, member)                          \
	({                                                        \
		struct rb_node *__wd_rb = (ptr);                  \
		__wd_rb ? rb_entry(__wd_rb, type, member) : NULL; \
	})
#define rb_parent(node) ((node)->rb_parent)
#define rb_first_cached(root) ((root)->rb_leftmost)

static inline void rb_link_node(struct rb_node *node, struct rb_node *parent, struct rb_node **link)
{
	node->rb_parent = parent;
	node->rb_left = NULL;
	node->rb_right = NULL;
	*link = node;
}

WD_BEGIN_DECLS
void rb_insert_color(struct rb_node *node, struct rb_root *root);
void rb_erase(struct rb_node *node, struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
/* @update recomputes a node's data on its subtree, from its children. */
void wd_rb_insert_augmented(struct rb_node *node, struct rb_root *root,
			    void (*update)(struct rb_node *node));
void wd_rb_erase_augmented(struct rb_node *node, struct rb_root *root,
			   void (*update)(struct rb_node *node));
WD_END_DECLS

#endif /* _LINUX_RBTREE_H */
