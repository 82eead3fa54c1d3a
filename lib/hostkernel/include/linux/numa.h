/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_NUMA_H
#define _LINUX_NUMA_H

#define NUMA_NO_NODE (-1)
#define NODES_SHIFT 6
#define MAX_NUMNODES (1 << NODES_SHIFT)

#endif /* _LINUX_NUMA_H */
