// SPDX-License-Identifier: Apache-2.0
/*
 * The extension module warpdrive._warpdrive (Documentation/guide/python.rst). It releases the
 * interpreter's lock while the device works. The library's objects are thread-bound, so an object
 * in use refuses calls of other threads.
 */
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <optional>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "base/process_mark.h"
#include "block_queue.h"
#include "codec.h"
#include "wd/accelerator.h"

namespace py = pybind11;
using wd::python::BlockQueue;
using wd::python::Compressor;
using wd::python::Decompressor;
using wd::python::Result;

namespace
{

/** A wait looks for signals, such as Ctrl-C, after each such time. */
constexpr int kSignalsMs = 200;

PyObject *errorType, *dataErrorType;

void raise(PyObject *type, const wd::Error &error, const char *status)
{
	const py::object instance =
		py::reinterpret_borrow<py::object>(type)(error.error(), error.line());
	if (status)
		instance.attr("status") = status;
	PyErr_SetObject(type, instance.ptr());
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): the type that pybind11 wants
void translate(std::exception_ptr thrown)
{
	try {
		if (thrown)
			std::rethrow_exception(thrown);
	} catch (const wd::python::DataError &error) {
		raise(dataErrorType, error, error.status());
	} catch (const wd::Error &error) {
		raise(errorType, error, nullptr);
	}
}

/**
 * The memory of a bytes-like object, whose size stays fixed as long. Needs the interpreter's lock.
 */
class Buffer
{
public:
	explicit Buffer(const py::object &object)
	{
		if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE))
			throw py::error_already_set();
	}
	~Buffer() { PyBuffer_Release(&view_); }
	Buffer(const Buffer &) = delete;
	Buffer &operator=(const Buffer &) = delete;

	std::string_view bytes() const
	{
		return {static_cast<const char *>(view_.buf), static_cast<size_t>(view_.len)};
	}

private:
	Py_buffer view_{};
};

/**
 * An object of the library for Python. Only the process that made it may use it, one thread at a
 * time.
 */
template <typename T>
class Owned
{
public:
	template <typename... Arguments>
	explicit Owned(const Arguments &...arguments)
	{
		const py::gil_scoped_release others;
		object_ = std::make_unique<T>(arguments...);
	}

	/** Run @call with the object, and without the interpreter's lock. */
	template <typename Call>
	auto use(Call call)
	{
		const Use use(*this);
		const py::gil_scoped_release others;
		return call(*object_);
	}
	void close()
	{
		if (!object_)
			return;
		std::optional<Use> use;
		if (mark_.own())
			use.emplace(*this);
		const py::gil_scoped_release others;
		object_.reset();
	}

private:
	struct Use {
		explicit Use(Owned &owner) : owner(owner)
		{
			if (!owner.object_)
				throw wd::Error(EBADF, "object", "use it after close()");
			if (!owner.mark_.own())
				throw wd::Error(ESTALE, "object", "use it in a child of fork()",
						"make another one there");
			if (owner.busy_)
				throw wd::Error(EBUSY, "object", "use it in two threads",
						"give each thread its own");
			owner.busy_ = true;
		}
		~Use() { owner.busy_ = false; }
		Use(const Use &) = delete;
		Use &operator=(const Use &) = delete;
		Owned &owner;
	};

	std::unique_ptr<T> object_;
	bool busy_ = false;
	wd::ProcessMark mark_;
};

template <typename T, typename Call>
py::bytes transform(Owned<T> &codec, const py::object &data, Call call)
{
	const Buffer buffer(data);
	return codec.use([&](T &object) { return call(object, buffer.bytes()); });
}

py::bytes compress(const py::object &data, const std::string &format, const std::string &device)
{
	const Buffer buffer(data);
	std::string out;
	{
		const py::gil_scoped_release others;
		Compressor codec(format, device);
		out = codec.compress(buffer.bytes());
		out += codec.finish();
	}
	return out;
}

py::bytes decompress(const py::object &data, const std::string &format, const std::string &device)
{
	const Buffer buffer(data);
	std::string out;
	{
		const py::gil_scoped_release others;
		Decompressor codec(format, device);
		out = codec.decompress(buffer.bytes());
		if (!codec.ended())
			throw wd::python::DataError("it ends early");
	}
	return out;
}

using PyQueue = Owned<BlockQueue>;

bool wait(PyQueue &queue, std::optional<double> timeout)
{
	double left = timeout ? std::max(*timeout, 0.0) * 1000 : HUGE_VAL;
	for (;;) {
		const int slice = static_cast<int>(std::ceil(std::min<double>(left, kSignalsMs)));
		if (queue.use([&](BlockQueue &q) { return q.wait(slice); }))
			return true;
		left -= slice;
		if (left <= 0)
			return false;
		if (PyErr_CheckSignals())
			throw py::error_already_set();
	}
}

template <typename T>
void addContext(py::class_<Owned<T>> &type)
{
	type.def("close", &Owned<T>::close)
		.def("__enter__", [](py::object self) { return self; })
		.def("__exit__", [](Owned<T> &self, const py::args &) { self.close(); });
}

void addTopology(py::module_ &m)
{
	using wd::Accelerator;
	using wd::MachineNode;
	using wd::Topology;
	py::class_<Accelerator>(m, "Accelerator",
				"An accelerator, as it was when topology() looked")
		.def_readonly("name", &Accelerator::name)
		.def_readonly("device_path", &Accelerator::devicePath)
		.def_readonly("pci_address", &Accelerator::pciAddress)
		.def_readonly("algorithms", &Accelerator::algorithms)
		.def_readonly("node", &Accelerator::node)
		.def_readonly("queues_free", &Accelerator::available)
		.def_readonly("queues_total", &Accelerator::total)
		.def_readonly("dma_mode", &Accelerator::dmaMode)
		.def_readonly("dma_modes", &Accelerator::dmaModes)
		.def("__repr__",
		     [](const Accelerator &a) { return "<warpdrive.Accelerator " + a.name + ">"; });
	py::class_<MachineNode>(m, "Node", "A NUMA node")
		.def_readonly("id", &MachineNode::id)
		.def_readonly("cpus", &MachineNode::cpus)
		.def_readonly("distances", &MachineNode::distances)
		.def_readonly("memory_bytes", &MachineNode::memoryBytes);
	py::class_<Topology>(m, "Topology",
			     "NUMA nodes and accelerators, as they were when topology() looked")
		.def_property_readonly("here", &Topology::here, "The node of this thread")
		.def_property_readonly("nodes", &Topology::nodes)
		.def_property_readonly("accelerators", &Topology::accelerators)
		.def("distance", &Topology::distance, py::arg("start"), py::arg("end"),
		     "As firmware says it; None if it does not")
		.def("get", &Topology::get, py::arg("name"), "The accelerator of that name")
		.def(
			"nearest",
			[](const Topology &t, const std::string &format, std::optional<int> start) {
				return t.require(format, start.value_or(t.here()));
			},
			py::arg("format") = "", py::arg("start") = py::none(),
			"The nearest accelerator that has a queue free");
	m.def(
		"topology", [] { return Topology::discover(*wd::Host::shared()); },
		"Look at the machine", py::call_guard<py::gil_scoped_release>());
}

void addQueue(py::module_ &m)
{
	py::class_<Result>(m, "Result", "A block that came back")
		.def_readonly("user", &Result::user, "As given to submit()")
		.def_readonly("ok", &Result::ok)
		.def_readonly("status", &Result::status, "In words")
		.def_property_readonly("data", [](const Result &r) { return py::bytes(r.data); })
		.def_readonly("consumed", &Result::consumed, "Bytes of the block that were used")
		.def_readonly("latency", &Result::latency, "Seconds");
	py::class_<PyQueue> queue(m, "Queue",
				  "A queue of an accelerator, at a PASID of its own, for blocks");
	queue.def(py::init([](const std::string &format, bool decompress, const std::string &device,
			      unsigned depth, size_t input, size_t output) {
			  return std::make_unique<PyQueue>(
				  format, wd::python::BlockQueueOptions{device, decompress, depth,
									input, output});
		  }),
		  py::arg("format") = "gzip", py::kw_only(), py::arg("decompress") = false,
		  py::arg("device") = "", py::arg("depth") = 8, py::arg("input") = 64 << 10,
		  py::arg("output") = 0)
		.def_property_readonly(
			"device",
			[](PyQueue &q) { return q.use([](BlockQueue &b) { return b.device(); }); })
		.def_property_readonly(
			"pasid",
			[](PyQueue &q) { return q.use([](BlockQueue &b) { return b.pasid(); }); })
		.def_property_readonly(
			"depth",
			[](PyQueue &q) { return q.use([](BlockQueue &b) { return b.depth(); }); })
		.def_property_readonly("in_flight",
				       [](PyQueue &q) {
					       return q.use(
						       [](BlockQueue &b) { return b.inFlight(); });
				       })
		.def(
			"submit",
			[](PyQueue &q, const py::object &data, uint64_t user) {
				const Buffer buffer(data);
				return q.use([&](BlockQueue &b) {
					return b.submit(buffer.bytes(), user);
				});
			},
			py::arg("data"), py::arg("user") = 0,
			"Send a copy of a block; False if as many blocks as possible are in flight")
		.def(
			"poll",
			[](PyQueue &q) { return q.use([](BlockQueue &b) { return b.poll(); }); },
			"The blocks that have come back")
		.def("wait", &wait, py::arg("timeout") = py::none(),
		     "Wait until poll() has something; False after TIMEOUT seconds");
	addContext(queue);
}

void addStreams(py::module_ &m)
{
	py::class_<Owned<Compressor>> compressor(m, "Compressor",
						 "Compresses a stream that comes in pieces");
	compressor
		.def(py::init<const std::string &, const std::string &>(),
		     py::arg("format") = "gzip", py::kw_only(), py::arg("device") = "")
		.def(
			"compress",
			[](Owned<Compressor> &self, const py::object &data) {
				return transform(self, data,
						 [](Compressor &c, std::string_view piece) {
							 return c.compress(piece);
						 });
			},
			py::arg("data"), "The output so far")
		.def(
			"flush",
			[](Owned<Compressor> &self) -> py::bytes {
				return self.use([](Compressor &c) { return c.finish(); });
			},
			"The rest of the output; then a new stream begins");
	addContext(compressor);
	py::class_<Owned<Decompressor>> decompressor(m, "Decompressor",
						     "Decompresses a stream that comes in pieces");
	decompressor
		.def(py::init<const std::string &, const std::string &>(),
		     py::arg("format") = "gzip", py::kw_only(), py::arg("device") = "")
		.def(
			"decompress",
			[](Owned<Decompressor> &self, const py::object &data) {
				return transform(self, data,
						 [](Decompressor &d, std::string_view piece) {
							 return d.decompress(piece);
						 });
			},
			py::arg("data"), "The output so far")
		.def_property_readonly(
			"eof",
			[](Owned<Decompressor> &self) {
				return self.use([](Decompressor &d) { return d.ended(); });
			},
			"Whether the data so far is whole");
	addContext(decompressor);
	m.def("compress", &compress, py::arg("data"), py::arg("format") = "gzip", py::kw_only(),
	      py::arg("device") = "", "A whole stream, compressed by an accelerator");
	m.def("decompress", &decompress, py::arg("data"), py::arg("format") = "gzip", py::kw_only(),
	      py::arg("device") = "", "A whole stream, decompressed by an accelerator");
}

} // namespace

PYBIND11_MODULE(_warpdrive, m)
{
	m.attr("__version__") = WD_VERSION;
	errorType = PyErr_NewExceptionWithDoc("warpdrive.Error",
					      "A call that failed: errno, and a sentence",
					      PyExc_OSError, nullptr);
	dataErrorType = PyErr_NewExceptionWithDoc(
		"warpdrive.DataError", "Data that is not in the format: status, in words",
		errorType, nullptr);
	m.add_object("Error", py::reinterpret_borrow<py::object>(errorType));
	m.add_object("DataError", py::reinterpret_borrow<py::object>(dataErrorType));
	py::register_exception_translator(translate);
	addTopology(m);
	addQueue(m);
	addStreams(m);
}
