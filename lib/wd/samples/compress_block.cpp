// SPDX-License-Identifier: Apache-2.0
/* Compress one block on the nearest accelerator; Documentation/guide/library.rst walks through it. */
#include <cstdio>
#include <cstring>

#include "wd/zip_session.h"

int main()
try {
	const std::shared_ptr<wd::Host> host = wd::Host::shared();
	const wd::Topology topology = wd::Topology::discover(*host);
	const wd::Accelerator &device = topology.require("gzip", topology.here());

	wd::ZipSessionOptions options;
	options.algorithm = wd::zip::Algorithm::Gzip;
	wd::ZipSession session(*host, device, options);
	wd::ZipLane &lane = session.lanes()[0];

	const unsigned slot = *lane.acquire();
	std::memset(lane.input(slot).data(), 'a', 65536);
	if (lane.submit(slot, 65536) != wd::QueueStatus::Ok || !lane.wait(60000))
		return 1;
	wd::ZipResult result;
	if (lane.poll({&result, 1}).count != 1 || !result.ok())
		return 1;
	std::printf("%s, PASID %u: 65536 bytes became %zu\n", device.name.c_str(), lane.pasid(),
		    result.output.size());
	return std::fflush(stdout) ? 1 : 0;
} catch (const wd::Error &error) {
	std::fprintf(stderr, "%s\n", error.line().c_str());
	return 1;
}
