// SPDX-License-Identifier: Apache-2.0
#include <crypto/acompress.h>
#include <hosted/test_hooks.h>

#include <linux/iommu.h>
#include <linux/pci.h>

#include "crypto_side.h"

#include <algorithm>
#include <cstring>

namespace wd::hisitest
{

bool hasAlgorithm(const char *name)
{
	return crypto_has_acomp(name, 0, 0);
}

HeldDevice::HeldDevice(const std::string &address)
	: device_(bus_find_device_by_name(&pci_bus_type, nullptr, address.c_str()))
{
	device_lock(device_);
}

HeldDevice::~HeldDevice()
{
	device_unlock(device_);
	put_device(device_);
}

HiddenRing::HiddenRing(const std::string &device, uint64_t context)
{
	struct device *dev = bus_find_device_by_name(&pci_bus_type, nullptr, device.c_str());
	uint32_t base[2];

	if (!dev)
		return;
	iommu_domain *domain = iommu_get_domain_for_dev(dev);
	const phys_addr_t at = iommu_iova_to_phys(domain, context);

	put_device(dev);
	if (!at)
		return;
	/* Both kinds of contexts have their ring in words 1 and 2. */
	std::memcpy(base, static_cast<char *>(phys_to_virt(at)) + 4, sizeof(base));
	page_ = (base[0] | uint64_t{base[1]} << 32) & PAGE_MASK;
	physical_ = iommu_iova_to_phys(domain, page_);
	if (physical_ && iommu_unmap(domain, page_, PAGE_SIZE) == PAGE_SIZE)
		domain_ = domain;
}

void HiddenRing::restore()
{
	if (domain_)
		iommu_map_atomic(domain_, page_, physical_, PAGE_SIZE, IOMMU_READ | IOMMU_WRITE);
	domain_ = nullptr;
}

Deflate::Deflate(const char *name, int node) : tfm_(crypto_alloc_acomp_node(name, 0, 0, node))
{
	if (IS_ERR(tfm_)) {
		error_ = static_cast<int>(PTR_ERR(tfm_));
		tfm_ = nullptr;
	}
}

Deflate::~Deflate()
{
	crypto_free_acomp(tfm_);
}

std::string Deflate::driver() const
{
	return tfm_ ? crypto_tfm_alg_driver_name(crypto_acomp_tfm(tfm_)) : "";
}

struct JobCallback {
	static void complete(crypto_async_request *req, int err)
	{
		auto *job = static_cast<Job *>(req->data);
		crypto_async_request waiter = {};

		if (err == -EINPROGRESS) {
			job->begun++;
			return;
		}
		job->done++;
		if (job->notify)
			job->notify();
		waiter.data = job->wait_;
		crypto_req_done(&waiter, err);
	}
};

Job::Job(Deflate &deflate, bool backlog)
	: backlog_(backlog),
	  req_(acomp_request_alloc(deflate.tfm_)),
	  wait_(new crypto_wait)
{
	crypto_init_wait(wait_);
}

Job::~Job()
{
	if (req_)
		acomp_request_free(req_);
	delete wait_;
}

std::vector<scatterlist> Job::list(const void *buffer, size_t length, size_t piece) const
{
	const size_t step = piece ? piece : std::max<size_t>(length, 1);
	std::vector<scatterlist> sg(std::max<size_t>((length + step - 1) / step, 1));
	const char *at = static_cast<const char *>(buffer);

	sg_init_table(sg.data(), static_cast<unsigned>(sg.size()));
	for (scatterlist &entry : sg) {
		const size_t part = std::min(step, length);

		sg_set_buf(&entry, at, static_cast<unsigned>(part));
		at += part;
		length -= part;
	}
	return sg;
}

int Job::submit(Way way, const void *in, size_t slen, void *out, size_t dlen, size_t piece)
{
	begun = done = 0;
	src_ = list(in, slen, piece);
	if (out)
		dst_ = list(out, dlen, piece);
	acomp_request_set_callback(req_, backlog_ ? CRYPTO_TFM_REQ_MAY_BACKLOG : 0,
				   JobCallback::complete, this);
	acomp_request_set_params(req_, src_.data(), out ? dst_.data() : nullptr,
				 static_cast<unsigned>(slen), static_cast<unsigned>(dlen));
	return way == Way::Compress ? crypto_acomp_compress(req_) : crypto_acomp_decompress(req_);
}

int Job::submitInPlace(Way way, void *buffer, size_t length)
{
	src_ = list(buffer, length, 0);
	acomp_request_set_callback(req_, 0, JobCallback::complete, this);
	acomp_request_set_params(req_, src_.data(), src_.data(), static_cast<unsigned>(length),
				 static_cast<unsigned>(length));
	return way == Way::Compress ? crypto_acomp_compress(req_) : crypto_acomp_decompress(req_);
}

int Job::wait(int submitted)
{
	return crypto_wait_req(submitted, wait_);
}

int Job::run(Way way, const void *in, size_t slen, void *out, size_t dlen, size_t piece)
{
	return wait(submit(way, in, slen, out, dlen, piece));
}

size_t Job::produced() const
{
	return req_->dlen;
}

std::vector<uint8_t> Job::allocated() const
{
	std::vector<uint8_t> bytes(req_->dlen);

	sg_copy_to_buffer(req_->dst, static_cast<unsigned>(sg_nents(req_->dst)), bytes.data(),
			  bytes.size());
	return bytes;
}

} // namespace wd::hisitest
