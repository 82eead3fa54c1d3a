/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A parameter has its default unless WD_PARAM_<module>_<name> is in the environment at boot. All
 * parameters but strings can be read and written in /sys/module/<module>/parameters.
 */
#ifndef _LINUX_MODULEPARAM_H
#define _LINUX_MODULEPARAM_H

#include <linux/compiler.h>
#include <linux/types.h>

struct kernel_param;

struct kernel_param_ops {
	unsigned int flags;
	int (*set)(const char *val, const struct kernel_param *kp);
	int (*get)(char *buffer, const struct kernel_param *kp);
	void (*free)(void *arg);
};

struct kernel_param {
	const char *name;
	const char *module;
	const struct kernel_param_ops *ops;
	void *arg;
	struct kernel_param *next;
};

WD_BEGIN_DECLS
extern const struct kernel_param_ops param_ops_bool, param_ops_int, param_ops_uint;
void wd_param_register(struct kernel_param *param);
WD_END_DECLS

#define __wd_modname_1(x) #x
#define __wd_modname(x) __wd_modname_1(x)
#define module_param_cb(_name, _ops, _arg, _perm)                              \
	static struct kernel_param __wd_param_##_name = {                      \
		.name = #_name,                                                \
		.module = __wd_modname(KBUILD_MODNAME),                        \
		.ops = _ops,                                                   \
		.arg = _arg,                                                   \
	};                                                                     \
	static void __attribute__((constructor)) __wd_param_init_##_name(void) \
	{                                                                      \
		wd_param_register(&__wd_param_##_name);                        \
	}                                                                      \
	struct __wd_param_end_##_name
/* In C <stdbool.h> makes bool a macro, so that module_param() sees _Bool. */
#define param_ops__Bool param_ops_bool
#define module_param_named(_name, _value, _type, _perm) \
	module_param_cb(_name, &param_ops_##_type, &(_value), _perm)
#define module_param(_name, _type, _perm) module_param_named(_name, _name, _type, _perm)
#define MODULE_PARM_DESC(_parm, _desc) struct __wd_parm_desc_##_parm

#endif /* _LINUX_MODULEPARAM_H */
