// SPDX-License-Identifier: Apache-2.0
// A precompiled header needs a file that uses it.
