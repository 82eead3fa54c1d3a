// SPDX-License-Identifier: GPL-2.0-only
/* Modules: references and parameters. */
#include "fs/sysfs_tree.h"
#include "modules.h"

#include <cstdlib>
#include <map>
#include <string>

#include <hosted/test_hooks.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

namespace
{

kernel_param *params; /* linked before main() */

template <class T>
int parse(const char *val, T *out);

template <>
int parse(const char *val, int *out)
{
	return kstrtoint(val, 0, out);
}
template <>
int parse(const char *val, unsigned *out)
{
	return kstrtouint(val, 0, out);
}
template <>
int parse(const char *val, bool *out)
{
	return kstrtobool(val, out);
}

template <class T>
int set(const char *val, const kernel_param *kp)
{
	T value{};
	const int ret = parse(val, &value);

	/* Atomic, since readers at the same time use READ_ONCE(). */
	if (!ret)
		__atomic_store_n(static_cast<T *>(kp->arg), value, __ATOMIC_RELAXED);
	return ret;
}

template <class T>
int get(char *buffer, const kernel_param *kp)
{
	auto value = __atomic_load_n(static_cast<T *>(kp->arg), __ATOMIC_RELAXED);
	if constexpr (std::is_same_v<T, bool>)
		return scnprintf(buffer, 4096, "%c\n", value ? 'Y' : 'N');
	else if constexpr (std::is_signed_v<T>)
		return scnprintf(buffer, 4096, "%lld\n", static_cast<long long>(value));
	else
		return scnprintf(buffer, 4096, "%llu\n", static_cast<unsigned long long>(value));
}

} // namespace

const struct kernel_param_ops param_ops_bool = {0, set<bool>, get<bool>, nullptr};
const struct kernel_param_ops param_ops_int = {0, set<int>, get<int>, nullptr};
const struct kernel_param_ops param_ops_uint = {0, set<unsigned>, get<unsigned>, nullptr};

void wd_param_register(struct kernel_param *param)
{
	param->next = params;
	params = param;
}

bool try_module_get(struct module *module)
{
	if (!module)
		return true;
	if (READ_ONCE(module->state) == MODULE_STATE_GOING)
		return false;
	atomic_inc(&module->refcnt);
	return true;
}

void __module_get(struct module *module)
{
	if (module)
		atomic_inc(&module->refcnt);
}

void module_put(struct module *module)
{
	if (module)
		WARN(atomic_dec_return(&module->refcnt) < 0, "module %s: too many puts",
		     module->name);
}

int module_refcount(struct module *module)
{
	return atomic_read(&module->refcnt);
}

namespace wd::hostkernel
{
namespace
{

/* If the kernel boots again in the same process, it starts with the compiled-in defaults. */
void restoreDefault(const kernel_param *param)
{
	static std::map<const kernel_param *, std::string> defaults;
	char text[64];

	const auto known = defaults.find(param);

	if (known != defaults.end())
		param->ops->set(known->second.c_str(), param);
	else if (param->ops->get(text, param) > 0)
		defaults[param] = text;
}

/* /sys/module/<module>/parameters/<name> */
void showInSysfs(const kernel_param *param)
{
	SysfsTree &tree = SysfsTree::instance();
	SysfsNode *at = tree.root();

	for (const char *name : {"module", param->module, "parameters"})
		at = tree.ensureDirectory(at, name);
	tree.addFile(
		at, param->name, [param](char *page) { return param->ops->get(page, param); },
		[param](const char *text, size_t length) -> ssize_t {
			const int ret = param->ops->set(std::string(text, length).c_str(), param);

			return ret ? ret : static_cast<ssize_t>(length);
		});
}

} // namespace

void moduleParameters()
{
	for (auto *param = params; param; param = param->next) {
		restoreDefault(param);
		showInSysfs(param);
		std::string name = std::string("WD_PARAM_") + param->module + "_" + param->name;
		const char *value = secure_getenv(name.c_str());
		if (value && param->ops->set(value, param))
			pr_err("%s: bad value '%s' for parameter %s\n", param->module, value,
			       param->name);
	}
}

int moduleStart(const wd_module_entry &entry)
{
	if (entry.module) {
		atomic_set(&entry.module->refcnt, 0);
		WRITE_ONCE(entry.module->state, MODULE_STATE_LIVE);
	}
	return entry.init ? entry.init() : 0;
}

void moduleStop(const wd_module_entry &entry)
{
	if (entry.module)
		WRITE_ONCE(entry.module->state, MODULE_STATE_GOING);
	if (entry.exit)
		entry.exit();
	if (entry.module)
		WARN(atomic_read(&entry.module->refcnt), "module %s leaves %d references",
		     entry.name, atomic_read(&entry.module->refcnt));
}

} // namespace wd::hostkernel
