// SPDX-License-Identifier: Apache-2.0
/* Exists only because a precompiled header needs a file that uses it. */
