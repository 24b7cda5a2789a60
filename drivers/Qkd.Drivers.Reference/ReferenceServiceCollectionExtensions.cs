using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Qkd.Devices;
using Qkd.Drivers.Reference.Transmitter;

namespace Qkd.Drivers.Reference;

/// <summary>Registers the instruments that this project defines itself.</summary>
public static class ReferenceServiceCollectionExtensions
{
    /// <summary>Adds the drivers of the reference instruments as <see cref="IDeviceDriver"/> services; adding them twice does no harm.</summary>
    public static IServiceCollection AddReferenceDrivers(this IServiceCollection services)
    {
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IDeviceDriver, ReferenceTransmitterDriver>(_ => new ReferenceTransmitterDriver()));
        return services;
    }
}
