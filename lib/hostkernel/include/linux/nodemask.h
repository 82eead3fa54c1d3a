/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_NODEMASK_H
#define _LINUX_NODEMASK_H

#include <linux/compiler.h>
#include <linux/numa.h>

WD_BEGIN_DECLS
/* The nodes of BootConfig, else node 0 alone. */
bool node_online(int node);
int num_online_nodes(void);
int wd_next_online_node(int after);
WD_END_DECLS

#define first_online_node wd_next_online_node(-1)
#define next_online_node(nid) wd_next_online_node(nid)
#define for_each_online_node(node)                                    \
	for ((node) = wd_next_online_node(-1); (node) < MAX_NUMNODES; \
	     (node) = wd_next_online_node(node))
#define for_each_node(node) for_each_online_node (node)

#endif /* _LINUX_NODEMASK_H */
