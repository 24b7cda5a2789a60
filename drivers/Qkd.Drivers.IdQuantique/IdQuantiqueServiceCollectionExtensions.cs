using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Qkd.Devices;
using Qkd.Drivers.IdQuantique.Id900;

namespace Qkd.Drivers.IdQuantique;

/// <summary>Registers ID Quantique instruments.</summary>
public static class IdQuantiqueServiceCollectionExtensions
{
    /// <summary>Adds the drivers of ID Quantique instruments as <see cref="IDeviceDriver"/> services; adding them twice does no harm.</summary>
    public static IServiceCollection AddIdQuantiqueDrivers(this IServiceCollection services)
    {
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IDeviceDriver, Id900Driver>(_ => new Id900Driver()));
        return services;
    }
}
