/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_TOPOLOGY_H
#define _LINUX_TOPOLOGY_H

#include <linux/compiler.h>
#include <linux/numa.h>

#define LOCAL_DISTANCE 10
#define REMOTE_DISTANCE 20

WD_BEGIN_DECLS
int node_distance(int from, int to);
int cpu_to_node(int cpu);
int numa_node_id(void);
WD_END_DECLS
#define numa_mem_id() numa_node_id()

#endif /* _LINUX_TOPOLOGY_H */
