using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Qkd.Devices;
using Qkd.Drivers.OzOptics.Dd100Mc;

namespace Qkd.Drivers.OzOptics;

/// <summary>Registers OZ Optics instruments.</summary>
public static class OzOpticsServiceCollectionExtensions
{
    /// <summary>Adds the drivers of OZ Optics instruments as <see cref="IDeviceDriver"/> services; adding them twice does no harm.</summary>
    public static IServiceCollection AddOzOpticsDrivers(this IServiceCollection services)
    {
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IDeviceDriver, Dd100McDriver>(_ => new Dd100McDriver()));
        return services;
    }
}
