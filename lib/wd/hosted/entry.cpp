// SPDX-License-Identifier: Apache-2.0
#include "hosted_loader.h"

extern "C" [[gnu::visibility("default")]] const wd::HostedEntry wd_hosted_entry = {
	.version = WD_VERSION,
	.create = wd::createHosted,
};
