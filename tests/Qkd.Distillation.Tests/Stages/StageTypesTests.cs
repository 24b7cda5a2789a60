using System.Reflection;
using System.Runtime.CompilerServices;
using Shouldly;

namespace Qkd.Distillation.Tests.Stages;

/// <summary>By their types: key comes from nowhere but the stage before it.</summary>
public sealed class StageTypesTests
{
    /// <summary>Each stage, and the public types whose members may yield it.</summary>
    private static readonly Dictionary<Type, Type[]> YieldedBy = new()
    {
        // Later stages show the sifted block for its statistics; its bits are gone by then.
        [typeof(SiftedBlock)] = [typeof(AliceSifter), typeof(BobSifter), typeof(BroughtBits), typeof(CorrectedBlock), typeof(VerifiedBlock)],
        [typeof(CorrectedBlock)] = [typeof(IReconciliation)],
        [typeof(VerifiedBlock)] = [typeof(IVerification)],
        [typeof(BoundedBlock)] = [typeof(VerifiedBlock)],
        [typeof(AmplifiedBlock)] = [typeof(BoundedBlock)],
        [typeof(SecretKey)] = [typeof(AmplifiedBlock), typeof(SecretKey), typeof(LocalDistillation)],
        [typeof(AuthenticationKeyMaterial)] = [typeof(SecretKey)],
        [typeof(AuthenticatedTranscript)] = [typeof(BlockAuthentication)],
    };

    private const BindingFlags Everything =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    public static TheoryData<Type> Stages => [.. YieldedBy.Keys];

    private static readonly Assembly Distillation = typeof(SecretKey).Assembly;

    [Theory]
    [MemberData(nameof(Stages))]
    public void A_stage_has_no_constructor_for_others_and_no_heirs(Type stage)
    {
        stage.IsSealed.ShouldBeTrue();
        stage.GetConstructors(Everything).ShouldAllBe(constructor => !Visible(constructor));

        // Nor one that copies: a record's "with", a clone, a deserialiser's back door.
        stage.GetMethod("<Clone>$").ShouldBeNull();
        stage.GetInterfaces().ShouldBe(stage == typeof(AuthenticatedTranscript) ? [] : [typeof(IDisposable)]);
        stage.GetCustomAttributes().Select(attribute => attribute.GetType().Name).ShouldNotContain("SerializableAttribute");
    }

    [Theory]
    [MemberData(nameof(Stages))]
    public void A_stage_comes_from_the_one_before_alone(Type stage)
    {
        var yielding = Distillation.GetExportedTypes()
            .Where(type => type.GetMembers(Everything).Any(member => Yields(member, stage)))
            .ToArray();
        yielding.ShouldBe(YieldedBy[stage], ignoreOrder: true);
    }

    [Fact]
    public void Only_sifters_and_logs_can_be_made_from_nothing() => Distillation.GetExportedTypes()
        .Where(type => typeof(IDisposable).IsAssignableFrom(type) && type.GetConstructors().Length > 0)
        .ShouldBe([typeof(AliceSifter), typeof(BobSifter)], ignoreOrder: true);

    [Fact]
    public void Only_finished_key_shows_its_bits()
    {
        Type[] bits = [typeof(byte[]), typeof(ulong[]), typeof(bool[]), typeof(Span<byte>), typeof(ReadOnlySpan<byte>), typeof(ReadOnlySpan<ulong>), typeof(Memory<byte>), typeof(ReadOnlyMemory<byte>)];
        foreach (var stage in YieldedBy.Keys)
        {
            var showing = stage.GetMethods(Everything).Where(Visible)
                .Where(method => bits.Contains(method.ReturnType) || method.GetParameters().Any(parameter => parameter.ParameterType == typeof(Span<byte>)))
                .Select(method => method.Name);
            showing.ShouldBe(stage == typeof(SecretKey) || stage == typeof(AuthenticationKeyMaterial) ? ["CopyTo"] : []);
        }
    }

    /// <summary>What is internal stays so: only tests are friends, and the tool that makes the codes, which is no part of the product.</summary>
    [Fact]
    public void No_part_of_the_product_sees_the_inside() =>
        Distillation.GetCustomAttributes<InternalsVisibleToAttribute>().ShouldAllBe(friend => friend.AssemblyName == "qkd-codes" || friend.AssemblyName.EndsWith(".Tests", StringComparison.Ordinal));

    private static bool Yields(MemberInfo member, Type stage) => member switch
    {
        MethodInfo method when Visible(method) =>
            Holds(method.ReturnType, stage) || method.GetParameters().Any(parameter => parameter.ParameterType.IsByRef && Holds(parameter.ParameterType, stage)),
        FieldInfo field => (field.IsPublic || field.IsFamily || field.IsFamilyOrAssembly) && Holds(field.FieldType, stage),
        _ => false,
    };

    private static bool Holds(Type type, Type stage) =>
        type == stage || (type.HasElementType && Holds(type.GetElementType()!, stage)) || type.GetGenericArguments().Any(argument => Holds(argument, stage));

    private static bool Visible(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;
}
