using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Qkd.Devices;
using Qkd.Drivers.Thorlabs.Mpc320;

namespace Qkd.Drivers.Thorlabs;

/// <summary>Registers Thorlabs instruments.</summary>
public static class ThorlabsServiceCollectionExtensions
{
    /// <summary>Adds the drivers of Thorlabs instruments as <see cref="IDeviceDriver"/> services; adding them twice does no harm.</summary>
    public static IServiceCollection AddThorlabsDrivers(this IServiceCollection services)
    {
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IDeviceDriver, Mpc320Driver>(_ => new Mpc320Driver()));
        return services;
    }
}
