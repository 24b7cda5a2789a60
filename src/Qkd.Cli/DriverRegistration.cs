using Qkd.Drivers.IdQuantique;
using Qkd.Drivers.OzOptics;
using Qkd.Drivers.Reference;
using Qkd.Drivers.SingleQuantum;
using Qkd.Drivers.Thorlabs;

namespace Qkd.Cli;

/// <summary>The one place of this program that names drivers.</summary>
internal static class DriverRegistration
{
    /// <summary>Registers every driver that ships with the program.</summary>
    public static IServiceCollection AddAllDrivers(this IServiceCollection services) => services
        .AddReferenceDrivers()
        .AddOzOpticsDrivers()
        .AddThorlabsDrivers()
        .AddSingleQuantumDrivers()
        .AddIdQuantiqueDrivers();
}
