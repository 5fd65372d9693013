// SPDX-License-Identifier: MIT
//
// plugin.cc - the template provider behind a descriptor that C++ fills by static initialisation, which is over when
// dlopen returns; every slot stops exceptions. template.c is compiled with another name for its own descriptor.
#include <sbx_plugin.h>

#include <new>
#include <string>

extern "C" const struct sbx_plugin template_plugin;

namespace
{

// Runs a slot; what it throws becomes a status, never more.
template <typename Body> sbx_status stop_exceptions(sbx_call *call, Body body) noexcept
{
    try {
        return body();
    } catch (const std::bad_alloc &) {
        return SBX_E_NO_MEMORY;
    } catch (...) {
        if (call->error != nullptr)
            call->error->code = SBX_E_FAILED;
        return SBX_E_FAILED;
    }
}

sbx_status cpp_create(sbx_backend *b, sbx_call *call, const sbx_create_args *args, sbx_handle **out)
{
    return stop_exceptions(call, [&] { return template_plugin.backend->create(b, call, args, out); });
}

sbx_status cpp_exec(sbx_handle *h, sbx_call *call, const sbx_exec_args *args, sbx_exec_result *out)
{
    return stop_exceptions(call, [&] {
        const std::string text(args->command != nullptr ? args->command : "");
        sbx_exec_args own{};
        const sbx_status status = sbx_take(&own, sizeof own, args);
        if (status != SBX_OK || args->command == nullptr)
            return template_plugin.handle->exec(h, call, args, out);
        own.size = sizeof own;
        own.command = text.c_str();
        return template_plugin.handle->exec(h, call, &own, out);
    });
}

struct Tables {
    sbx_backend_ops backend;
    sbx_handle_ops handle;
    Tables() : backend(*template_plugin.backend), handle(*template_plugin.handle)
    {
        backend.create = cpp_create;
        handle.exec = cpp_exec;
    }
};
const Tables tables;

sbx_plugin describe()
{
    sbx_plugin made = template_plugin;
    made.id = "cpp";
    made.name = "C++";
    made.backend = &tables.backend;
    made.handle = &tables.handle;
    return made;
}

} // namespace

const sbx_plugin sbx_plugin_v1 = describe();
