using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Qkd.Devices;
using Qkd.Drivers.SingleQuantum.WebSq;

namespace Qkd.Drivers.SingleQuantum;

/// <summary>Registers Single Quantum instruments.</summary>
public static class SingleQuantumServiceCollectionExtensions
{
    /// <summary>Adds the drivers of Single Quantum instruments as <see cref="IDeviceDriver"/> services; adding them twice does no harm.</summary>
    public static IServiceCollection AddSingleQuantumDrivers(this IServiceCollection services)
    {
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IDeviceDriver, WebSqDriver>(_ => new WebSqDriver()));
        return services;
    }
}
