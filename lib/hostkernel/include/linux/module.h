/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Modules. The build gives each module its KBUILD_MODNAME. module_init() and module_exit() define
 * wd_module_init_<name> and wd_module_exit_<name>, which are in the list of modules.
 */
#ifndef _LINUX_MODULE_H_HOSTED
#define _LINUX_MODULE_H_HOSTED

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/moduleparam.h>
#include <linux/stringify.h>

enum module_state {
	MODULE_STATE_LIVE,
	MODULE_STATE_COMING,
	MODULE_STATE_GOING,
	MODULE_STATE_UNFORMED,
};

struct module {
	int state; /* enum module_state */
	const char *name;
	atomic_t refcnt;
};

struct wd_module_entry {
	const char *name;
	struct module *module;
	int (*init)(void);
	void (*exit)(void);
};

WD_BEGIN_DECLS
/*
 * The list of modules; its last entry has the name NULL. Programs without modules do not have the
 * list.
 */
extern const struct wd_module_entry wd_module_entries[] __attribute__((weak));

bool try_module_get(struct module *module);
void __module_get(struct module *module);
void module_put(struct module *module);
WD_END_DECLS

#define __wd_paste_1(a, b) a##b
#define __wd_paste(a, b) __wd_paste_1(a, b)
#define WD_HOSTED_MODULE_DECLARE(mod)                                    \
	extern struct module wd_this_module_##mod __attribute__((weak)); \
	extern int wd_module_init_##mod(void) __attribute__((weak));     \
	extern void wd_module_exit_##mod(void) __attribute__((weak));
/* clang-format off */
#define WD_HOSTED_MODULE_ENTRY(mod) \
	{ #mod, &wd_this_module_##mod, wd_module_init_##mod, wd_module_exit_##mod }
/* clang-format on */

#ifdef KBUILD_MODNAME
extern struct module __wd_paste(wd_this_module_, KBUILD_MODNAME) __attribute__((weak));
#define THIS_MODULE (&__wd_paste(wd_this_module_, KBUILD_MODNAME))
#else
#define THIS_MODULE ((struct module *)NULL)
#endif

/* Defines the module, so a module has it in one file only. */
#define module_init(fn)                                               \
	struct module __wd_paste(wd_this_module_, KBUILD_MODNAME) = { \
		.state = MODULE_STATE_LIVE,                           \
		.name = __wd_modname(KBUILD_MODNAME),                 \
	};                                                            \
	int __wd_paste(wd_module_init_, KBUILD_MODNAME)(void);        \
	int __wd_paste(wd_module_init_, KBUILD_MODNAME)(void)         \
	{                                                             \
		return fn();                                          \
	}                                                             \
	struct __wd_module_init_end
#define module_exit(fn)                                         \
	void __wd_paste(wd_module_exit_, KBUILD_MODNAME)(void); \
	void __wd_paste(wd_module_exit_, KBUILD_MODNAME)(void)  \
	{                                                       \
		fn();                                           \
	}                                                       \
	struct __wd_module_exit_end
#define module_driver(drv, reg, unreg, ...)        \
	static int drv##_init(void)                \
	{                                          \
		return reg(&(drv), ##__VA_ARGS__); \
	}                                          \
	module_init(drv##_init);                   \
	static void drv##_exit(void)               \
	{                                          \
		unreg(&(drv), ##__VA_ARGS__);      \
	}                                          \
	module_exit(drv##_exit)

#define MODULE_LICENSE(x) struct __wd_module_license
#define MODULE_DESCRIPTION(x) struct __wd_module_description
#define MODULE_IMPORT_NS(x) struct __wd_module_import_##x
#define MODULE_DEVICE_TABLE(type, name) extern __typeof__(name) name

#endif /* _LINUX_MODULE_H_HOSTED */
