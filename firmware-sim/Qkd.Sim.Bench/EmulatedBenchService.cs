using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Qkd.Sim.Bench;

/// <summary>Runs an <see cref="EmulatedBench"/> in a host: up before all other services, down after them.</summary>
internal sealed class EmulatedBenchService(EmulatedBench bench, IHostApplicationLifetime lifetime) : IHostedLifecycleService
{
    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        await bench.StartAsync(cancellationToken).ConfigureAwait(false);
        _ = bench.Completion.ContinueWith(
            _ => lifetime.StopApplication(), CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => bench.DisposeAsync().AsTask();
}

/// <summary>Registration of the emulated bench.</summary>
public static class EmulatedBenchServices
{
    /// <summary>
    /// Registers an <see cref="EmulatedBench"/> that starts before all hosted services and stops after them, wherever they are registered. The host stops
    /// if the light path fails.
    /// </summary>
    /// <param name="services">The host's services.</param>
    /// <param name="settings">The emulated world.</param>
    /// <param name="dataFolder">Folder of the address book and of the truth.</param>
    public static IServiceCollection AddEmulatedBench(this IServiceCollection services, EmulationSettings settings, string dataFolder)
    {
        services.AddSingleton(provider => new EmulatedBench(settings, dataFolder, provider.GetService<ILoggerFactory>()));
        services.AddHostedService<EmulatedBenchService>();
        return services;
    }
}
