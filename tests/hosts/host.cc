// SPDX-License-Identifier: MIT
//
// host.cc - a host in C++: objects that give themselves back, and exceptions that stop at the border. host PLUGIN.so
// [KEY=VALUE...]
#include <sbx_plugin.h>

#include <dlfcn.h>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace
{

struct Error {
    sbx_error raw{};
    sbx_call call{};
    Error()
    {
        raw.size = sizeof raw;
        call.size = sizeof call;
        call.error = &raw;
    }
    void check(sbx_status status, const char *what) const
    {
        if (status != SBX_OK)
            throw std::runtime_error(std::string(what) + ": " + raw.message);
    }
};

// What a sink's owner threw must not pass through the plugin: it waits here until the call is over.
struct Catch {
    std::string text;
    std::size_t limit = 1000;
    std::exception_ptr thrown;
    static int32_t write(void *user, const void *data, size_t len) noexcept
    {
        auto *self = static_cast<Catch *>(user);
        try {
            if (self->text.size() + len > self->limit)
                throw std::length_error("more than was wanted");
            self->text.append(static_cast<const char *>(data), len);
            return 0;
        } catch (...) {
            self->thrown = std::current_exception();
            return 1;
        }
    }
};

std::string run(const sbx_plugin *plugin, sbx_handle *handle, const char *command, std::size_t limit)
{
    Error error;
    Catch out;
    out.limit = limit;
    sbx_sink sink{};
    sink.size = sizeof sink;
    sink.user = &out;
    sink.write = Catch::write;
    sbx_exec_args args{};
    args.size = sizeof args;
    args.command = command;
    args.out = &sink;
    sbx_exec_result result{};
    result.size = sizeof result;
    const sbx_status status = plugin->handle->exec(handle, &error.call, &args, &result);
    if (out.thrown && status == SBX_E_STOPPED)
        std::rethrow_exception(out.thrown);
    error.check(status, "exec");
    return out.text;
}

void work(const sbx_plugin *plugin, const std::vector<sbx_kv> &config)
{
    sbx_host host{};
    host.size = sizeof host;
    sbx_open_args open_args{};
    open_args.size = sizeof open_args;
    open_args.instance = "cpp";
    open_args.config = {config.data(), config.size()};
    Error error;
    sbx_backend *raw_backend = nullptr;
    error.check(plugin->backend->open(&host, &error.call, &open_args, &raw_backend), "open");
    const std::unique_ptr<sbx_backend, void (*)(sbx_backend *)> backend(raw_backend, plugin->backend->close);
    sbx_create_args create_args{};
    create_args.size = sizeof create_args;
    sbx_handle *raw_handle = nullptr;
    error.check(plugin->backend->create(backend.get(), &error.call, &create_args, &raw_handle), "create");
    const std::unique_ptr<sbx_handle, void (*)(sbx_handle *)> handle(raw_handle, plugin->handle->release);
    if (run(plugin, handle.get(), "echo hello", 1000) != "hello\n")
        throw std::runtime_error("exec gave something else");
    bool stopped = false;
    try {
        run(plugin, handle.get(), "echo much too long", 3);
    } catch (const std::length_error &) {
        stopped = true;
    }
    error.check(plugin->handle->remove(handle.get(), &error.call), "remove");
    if (!stopped)
        throw std::runtime_error("an exception in a sink was lost");
}

} // namespace

int main(int argc, char **argv)
try {
    void *object = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : nullptr;
    if (object == nullptr)
        throw std::runtime_error("it does not load");
    const auto *plugin = static_cast<const sbx_plugin *>(dlsym(object, "sbx_plugin_v1"));
    std::vector<std::string> texts(argv + 2, argv + argc);
    std::vector<sbx_kv> config;
    for (auto &text : texts) {
        const auto equals = text.find('=');
        text.at(equals) = '\0';
        config.push_back({text.c_str(), text.c_str() + equals + 1});
    }
    work(plugin, config);
    std::cout << "all well\n";
    return 0;
} catch (const std::exception &problem) {
    std::cerr << "host: " << problem.what() << "\n";
    return 1;
}
