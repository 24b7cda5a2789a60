using Qkd.Drivers.IdQuantique;
using Qkd.Drivers.OzOptics;
using Qkd.Drivers.Reference;
using Qkd.Drivers.SingleQuantum;
using Qkd.Drivers.Thorlabs;
using Qkd.Keys;
using Qkd.Node.Configuration;
using Qkd.Node.Keys;
using Qkd.Node.Nodes;
using Qkd.Sim.Bench;
using Qkd.Web.Hosting;

// Front door 1: the nodes of a configuration as a Windows service, a systemd unit, or in a console.
//   qkd-service [--config FILE] [--Bench:Path:To:Setting=value ...]
// Exit codes: 0 stopped when asked to, 1 the nodes cannot run, 2 the configuration makes no sense.
try
{
    var arguments = args.ToList();
    var file = Path.Combine(AppContext.BaseDirectory, "config", "bench.json");
    if (arguments.IndexOf("--config") is >= 0 and var at)
    {
        file = arguments.ElementAtOrDefault(at + 1) ?? throw new ConfigurationException("--config", "a file is needed");
        arguments.RemoveRange(at, 2);
    }

    var configuration = BenchConfiguration.Load(file, arguments);
    var options = BenchConfiguration.Bind(configuration);
    var emulation = EmulationSettings.Load(configuration);
    BenchKeys.Ensure(options, notice => Console.WriteLine(notice));

    await using var app = BenchHost.Build(options, builder =>
    {
        builder.Host.UseWindowsService(service => service.ServiceName = "Quantum key distribution");
        builder.Host.UseSystemd();
        builder.Services
            .AddReferenceDrivers()
            .AddOzOpticsDrivers()
            .AddThorlabsDrivers()
            .AddSingleQuantumDrivers()
            .AddIdQuantiqueDrivers();
        if (emulation.Enabled)
        {
            builder.Services.AddEmulatedBench(emulation, options.DataFolder);
        }
    });
    var nodes = app.Services.GetRequiredService<NodesService>();
    try
    {
        await app.RunAsync();
    }
    catch (OperationCanceledException) when (nodes.Failure is not null)
    {
        // The nodes ended the host while it was still starting.
    }

    if (nodes.Failure is { } failure)
    {
        await Console.Error.WriteLineAsync(failure.Message);
        return failure is ConfigurationException ? 2 : 1;
    }

    return 0;
}
catch (Exception e) when (e is ConfigurationException or EmulationConfigurationException)
{
    await Console.Error.WriteLineAsync(e.Message);
    return 2;
}
catch (Exception e) when (e is KeyStoreException or IOException or UnauthorizedAccessException)
{
    await Console.Error.WriteLineAsync(e.Message);
    return 1;
}
